"""What finds objects in the images of segments, kept with them: after a click nothing is worked out anew."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch

from ...diffseg_core import Images, Segments
from ...diffseg_core.images import matching_images
from ...diffseg_core.objects.object_finder import ObjectFinder
from ..progress import stop_if_interrupted


@dataclass
class KeptFinder:
    """The finder of one image, and the file of what the picker finds objects with, once it is written."""

    image: weakref.ref[torch.Tensor] | None  # by which it is known again, and not kept
    finder: ObjectFinder
    file: dict[str, str] | None = None

    def is_of(self, image: torch.Tensor | None) -> bool:
        """Whether it was made with this image, or without one."""
        if image is None or self.image is None:
            return image is None and self.image is None
        return self.image() is image


def kept_finder(
    segments: Segments, image: torch.Tensor | None, images: Images | None, image_index: int
) -> KeptFinder:
    """The finder of one image, made where none is kept that was made with this image, or without one.

    Args:
        segments: with a hierarchy.
        image: the node's input, by which an image is known again.
        images: the same, checked; None where there is none.
        image_index: which of them.
    """
    key = (kept_finder, image_index)
    kept: KeptFinder | None = segments.kept.get(key)
    if kept is None or not kept.is_of(image):
        pixels = None if images is None else matching_images(images, segments)[image_index]
        reference = None if image is None else weakref.ref(image)
        tree = segments.hierarchies[image_index]
        kept = KeptFinder(reference, ObjectFinder(tree, pixels, on_step=stop_if_interrupted))
        segments.kept[key] = kept
    return kept
