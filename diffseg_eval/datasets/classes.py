"""The classes of the datasets: their names in order, and which value of a label map stands for which.

A value that is not in a dataset's table is refused, and `VOID` is what nobody annotated. Whose tables these
are, and at which commit, is held by ``tests/eval/test_tables_from_elsewhere.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffseg_core.output.ade20k import NAMES as ADE20K_NAMES

from ..types import VOID


def _from(first: int, names: Sequence[str]) -> dict[int, int]:
    """Classes 0, 1, 2 … of values from ``first`` on."""
    return {first + index: index for index in range(len(names))}


SUPERCATEGORIES: Mapping[str, Sequence[int]] = {
    "electronic-things": (71, 72, 73, 74, 75, 76),
    "appliance-things": (77, 78, 79, 80, 81, 82),
    "food-things": (51, 52, 53, 54, 55, 56, 57, 58, 59, 60),
    "furniture-things": (61, 62, 63, 64, 65, 66, 67, 68, 69, 70),
    "indoor-things": (83, 84, 85, 86, 87, 88, 89, 90),
    "kitchen-things": (43, 44, 45, 46, 47, 48, 49, 50),
    "accessory-things": (25, 26, 27, 28, 29, 30, 31, 32),
    "animal-things": (15, 16, 17, 18, 19, 20, 21, 22, 23, 24),
    "outdoor-things": (9, 10, 11, 12, 13, 14),
    "person-things": (0,),
    "sports-things": (33, 34, 35, 36, 37, 38, 39, 40, 41, 42),
    "vehicle-things": (1, 2, 3, 4, 5, 6, 7, 8),
    "ceiling-stuff": (101, 102),
    "floor-stuff": (100, 113, 114, 115, 116, 117),
    "food-stuff": (120, 121, 152, 169),
    "furniture-stuff": (97, 106, 107, 109, 111, 122, 129, 132, 155, 160, 164),
    "rawmaterial-stuff": (99, 131, 138, 142),
    "textile-stuff": (91, 92, 103, 104, 108, 130, 136, 140, 151, 166, 167),
    "wall-stuff": (170, 171, 172, 173, 174, 175, 176),
    "window-stuff": (179, 180),
    "building-stuff": (94, 95, 127, 150, 157, 165),
    "ground-stuff": (110, 124, 125, 135, 139, 143, 144, 146, 148, 153, 158),
    "plant-stuff": (93, 96, 118, 123, 128, 133, 141, 162, 168),
    "sky-stuff": (105, 156),
    "solid-stuff": (126, 134, 149, 159, 161, 181),
    "structural-stuff": (98, 112, 137, 145, 163),
    "water-stuff": (119, 147, 154, 177, 178),
}
"""COCO-Stuff's hierarchy (Caesar et al., CVPR 2018): the values of the fine classes of each supercategory.

The supercategories, in the order of PiCIE and DiffSeg (12 of things, then 15 of stuff), are COCO-Stuff-27."""
COCO27_NAMES = tuple(SUPERCATEGORIES)
UNLABELLED = 255
FINE_TO_COARSE = {UNLABELLED: VOID} | {
    fine: coarse for coarse, members in enumerate(SUPERCATEGORIES.values()) for fine in members
}
COCO27_CLASSES = {UNLABELLED: VOID} | _from(0, COCO27_NAMES)
"""Of label maps that hold the 27 classes themselves."""

BACKGROUND = "background"
NOT_OF_COCO = frozenset({11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90})
"""Things of COCO-Stuff's list that nobody annotated in COCO's release of 2017."""
LAST_THING, LAST_STUFF = 90, 181
OBJECT_NAMES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog"),
    *("horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella"),
    *("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite"),
    *("baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich"),
    *("orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote"),
    *("keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book"),
    *("clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
    BACKGROUND,
)
"""COCO's 80 things in the order of their values, and the background."""
THINGS = [value for value in range(LAST_THING + 1) if value not in NOT_OF_COCO]
OBJECT_CLASSES = {value: index for index, value in enumerate(THINGS)} | dict.fromkeys(
    (*range(LAST_THING + 1, LAST_STUFF + 1), UNLABELLED), len(THINGS)
)
"""As DiffCut's code has them: all stuff, and what nobody annotated, is background."""

CITYSCAPES_NAMES = (
    *("road", "sidewalk", "parking", "rail track"),
    *("building", "wall", "fence", "guard rail", "bridge", "tunnel"),
    *("pole", "polegroup", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky"),
    *("person", "rider"),
    *("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)
"""Cityscapes' labels 7..33; those before (unlabeled, ego vehicle … ground) are not annotated."""
FIRST_LABEL = 7
CITYSCAPES_CLASSES = dict.fromkeys(range(FIRST_LABEL), VOID) | _from(FIRST_LABEL, CITYSCAPES_NAMES)

VOC_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)
CONTEXT_NAMES = (
    *("aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle"),
    *("building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow"),
    *("cup", "curtain", "dog", "door", "fence", "floor", "flower", "food", "grass", "ground"),
    *("horse", "keyboard", "light", "motorbike", "mountain", "mouse", "person", "plate", "platform"),
    *("pottedplant", "road", "rock", "sheep", "shelves", "sidewalk", "sign", "sky", "snow", "sofa"),
    *("table", "track", "train", "tree", "truck", "tvmonitor", "wall", "water", "window", "wood"),
)
"""As MMSegmentation numbers them."""
BORDER = 255
VOC_CLASSES = _from(1, VOC_NAMES) | dict.fromkeys((0, BORDER), len(VOC_NAMES))
"""The borders around objects, which nobody annotated, are background as in DiffCut's code."""
CONTEXT_CLASSES = _from(1, CONTEXT_NAMES) | {0: len(CONTEXT_NAMES)}

ADE20K_CLASSES = {0: VOID} | _from(1, ADE20K_NAMES)
