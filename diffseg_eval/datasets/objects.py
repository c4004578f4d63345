"""One object in each image, at the image's own size: masks of your own, or things of COCO's photographs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from diffseg_core.benchmark.clicks import Truth

from ..types import AnnotatedImage, Dataset, Measure
from .files import COLOUR, Source
from .layouts import UNLABELLED_ID
from .whole_images import images_beside

OBJECT, IGNORED = 255, 128
PANOPTIC = "panoptic.json"
SHARES = (0.03, 0.6)
"""Of the image, what a thing of COCO's must cover to be its object."""

OF_OBJECTS = Source(
    "A folder of objects",
    "ROOT/images/NAME (PNG, JPEG …) and ROOT/masks/NAME.png (8-bit grey: 0, 255 the object, 128 not counted)",
    "GrabCut's photographs are one; any masks of your own will do.",
)
OF_COCO = Source(
    "COCO panoptic",
    f"ROOT/images/*.jpg, ROOT/panoptic/*.png (id = R + 256 G + 65536 B, 0 unlabelled) and ROOT/{PANOPTIC}, "
    "which has the segments of each file",
    "Photographs: http://images.cocodataset.org/zips/val2017.zip. Segments: "
    "http://images.cocodataset.org/annotations/panoptic_annotations_trainval2017.zip.",
)


def open_objects(root: Path, prompts: Measure) -> Dataset:
    """`CocoObjects` where the folder has COCO's list of segments, else an `ObjectFolder`."""
    return (CocoObjects if (root / PANOPTIC).is_file() else ObjectFolder)(root, prompts)


class ObjectFolder:
    """One object in each image, as GrabCut's photographs have them.

    Args:
        root: holds ``images/NAME.jpg`` (or another ending) and ``masks/NAME.png``.
        prompts: "clicks" or "boxes", what the object is found by.

    Raises:
        DatasetError: files are missing.
    """

    class_names: Sequence[str] = ()

    def __init__(self, root: Path, prompts: Measure) -> None:
        self.measures: frozenset[Measure] = frozenset({prompts})
        self._images, self._masks = images_beside(root, "masks", OF_OBJECTS)
        self.names = tuple(self._masks)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image and its object.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or the mask has no object.
        """
        image, path = OF_OBJECTS.read_image(self._images[name]), self._masks[name]
        values = OF_OBJECTS.read_labels(path, image)
        mask = values == OBJECT
        if not mask.any():
            raise OF_OBJECTS.error(f"Expected pixels of {OBJECT}, the object, in {path}, found none.")
        return AnnotatedImage(name, image, object=Truth(mask, values == IGNORED))


class CocoObjects:
    """The largest thing of each of COCO's panoptic photographs, whole, at its own size.

    Things are what COCO counts (people, cups, no sky); a crowd is none. Among those that cover `SHARES` of
    the image the largest is taken, and images without one are left out. What is unlabelled does not count.

    Args:
        root: holds ``images/NAME.jpg``, ``panoptic/NAME.png`` and ``panoptic.json``.
        prompts: "clicks" or "boxes", what the object is found by.

    Raises:
        DatasetError: files are missing, the list cannot be read, or has no such thing.
    """

    class_names: Sequence[str] = ()

    def __init__(self, root: Path, prompts: Measure) -> None:
        self.measures: frozenset[Measure] = frozenset({prompts})
        self._root = root
        with OF_COCO.reading(root / PANOPTIC, "COCO's list of segments"):
            content = json.loads((root / PANOPTIC).read_text(encoding="utf-8"))
            things = {category["id"] for category in content["categories"] if category["isthing"]}
            areas = {image["id"]: image["height"] * image["width"] for image in content["images"]}
            least, most = SHARES
            self._objects: dict[str, int] = {}
            for annotation in sorted(content["annotations"], key=lambda annotation: annotation["file_name"]):
                area = areas[annotation["image_id"]]
                sizes = {
                    segment["id"]: segment["area"]
                    for segment in annotation["segments_info"]
                    if segment["category_id"] in things
                    and not segment["iscrowd"]
                    and least * area <= segment["area"] <= most * area
                }
                if sizes:
                    name = Path(annotation["file_name"]).stem
                    self._objects[name] = max(sizes, key=lambda id_: sizes[id_])
        self.names = tuple(self._objects)
        if not self.names:
            raise OF_COCO.error(f"Expected things of {least:.0%} to {most:.0%} of an image, found none.")
        OF_COCO.require_files(path for name in self.names for path in self._files(name))

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its number, such as "000000000009", and its object.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or the object is not in the file of segments.
        """
        image_path, path = self._files(name)
        image = OF_COCO.read_image(image_path)
        ids = OF_COCO.read_labels(path, image, COLOUR)
        mask = ids == self._objects[name]
        if not mask.any():
            raise OF_COCO.error(
                f"Expected pixels of the segment {self._objects[name]} in {path}, found none."
            )
        return AnnotatedImage(name, image, object=Truth(mask, ids == UNLABELLED_ID))

    def _files(self, name: str) -> tuple[Path, Path]:
        return self._root / "images" / f"{name}.jpg", self._root / "panoptic" / f"{name}.png"
