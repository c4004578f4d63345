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


# fmt: off
SUPERCATEGORIES: Mapping[str, Mapping[int, str]] = {
    "electronic-things": {
        71: "tv", 72: "laptop", 73: "mouse", 74: "remote", 75: "keyboard", 76: "cell phone",
    },
    "appliance-things": {
        77: "microwave", 78: "oven", 79: "toaster", 80: "sink", 81: "refrigerator", 82: "blender",
    },
    "food-things": {
        51: "banana", 52: "apple", 53: "sandwich", 54: "orange", 55: "broccoli", 56: "carrot",
        57: "hot dog", 58: "pizza", 59: "donut", 60: "cake",
    },
    "furniture-things": {
        61: "chair", 62: "couch", 63: "potted plant", 64: "bed", 65: "mirror", 66: "dining table",
        67: "window", 68: "desk", 69: "toilet", 70: "door",
    },
    "indoor-things": {
        83: "book", 84: "clock", 85: "vase", 86: "scissors", 87: "teddy bear", 88: "hair drier",
        89: "toothbrush", 90: "hair brush",
    },
    "kitchen-things": {
        43: "bottle", 44: "plate", 45: "wine glass", 46: "cup", 47: "fork", 48: "knife", 49: "spoon",
        50: "bowl",
    },
    "accessory-things": {
        25: "hat", 26: "backpack", 27: "umbrella", 28: "shoe", 29: "eye glasses", 30: "handbag", 31: "tie",
        32: "suitcase",
    },
    "animal-things": {
        15: "bird", 16: "cat", 17: "dog", 18: "horse", 19: "sheep", 20: "cow", 21: "elephant", 22: "bear",
        23: "zebra", 24: "giraffe",
    },
    "outdoor-things": {
        9: "traffic light", 10: "fire hydrant", 11: "street sign", 12: "stop sign", 13: "parking meter",
        14: "bench",
    },
    "person-things": {0: "person"},
    "sports-things": {
        33: "frisbee", 34: "skis", 35: "snowboard", 36: "sports ball", 37: "kite", 38: "baseball bat",
        39: "baseball glove", 40: "skateboard", 41: "surfboard", 42: "tennis racket",
    },
    "vehicle-things": {
        1: "bicycle", 2: "car", 3: "motorcycle", 4: "airplane", 5: "bus", 6: "train", 7: "truck", 8: "boat",
    },
    "ceiling-stuff": {101: "ceiling-other", 102: "ceiling-tile"},
    "floor-stuff": {
        100: "carpet", 113: "floor-marble", 114: "floor-other", 115: "floor-stone", 116: "floor-tile",
        117: "floor-wood",
    },
    "food-stuff": {120: "food-other", 121: "fruit", 152: "salad", 169: "vegetable"},
    "furniture-stuff": {
        97: "cabinet", 106: "counter", 107: "cupboard", 109: "desk-stuff", 111: "door-stuff",
        122: "furniture-other", 129: "light", 132: "mirror-stuff", 155: "shelf", 160: "stairs", 164: "table",
    },
    "rawmaterial-stuff": {99: "cardboard", 131: "metal", 138: "paper", 142: "plastic"},
    "textile-stuff": {
        91: "banner", 92: "blanket", 103: "cloth", 104: "clothes", 108: "curtain", 130: "mat",
        136: "napkin", 140: "pillow", 151: "rug", 166: "textile-other", 167: "towel",
    },
    "wall-stuff": {
        170: "wall-brick", 171: "wall-concrete", 172: "wall-other", 173: "wall-panel", 174: "wall-stone",
        175: "wall-tile", 176: "wall-wood",
    },
    "window-stuff": {179: "window-blind", 180: "window-other"},
    "building-stuff": {
        94: "bridge", 95: "building-other", 127: "house", 150: "roof", 157: "skyscraper", 165: "tent",
    },
    "ground-stuff": {
        110: "dirt", 124: "gravel", 125: "ground-other", 135: "mud", 139: "pavement", 143: "platform",
        144: "playingfield", 146: "railroad", 148: "road", 153: "sand", 158: "snow",
    },
    "plant-stuff": {
        93: "branch", 96: "bush", 118: "flower", 123: "grass", 128: "leaves", 133: "moss",
        141: "plant-other", 162: "straw", 168: "tree",
    },
    "sky-stuff": {105: "clouds", 156: "sky-other"},
    "solid-stuff": {126: "hill", 134: "mountain", 149: "rock", 159: "solid-other", 161: "stone", 181: "wood"},
    "structural-stuff": {98: "cage", 112: "fence", 137: "net", 145: "railing", 163: "structural-other"},
    "water-stuff": {119: "fog", 147: "river", 154: "sea", 177: "water-other", 178: "waterdrops"},
}
# fmt: on
"""COCO-Stuff's hierarchy (Caesar et al., CVPR 2018): value and name of every fine class, by supercategory.

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
THINGS = {
    value: name
    for members in SUPERCATEGORIES.values()
    for value, name in sorted(members.items())
    if value <= LAST_THING and value not in NOT_OF_COCO
}
"""Value and name of COCO's 80 things."""
OBJECT_NAMES = (*(THINGS[value] for value in sorted(THINGS)), BACKGROUND)
OBJECT_CLASSES = {value: index for index, value in enumerate(sorted(THINGS))} | dict.fromkeys(
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
