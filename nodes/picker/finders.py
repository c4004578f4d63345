"""What finds objects in the images of segments, kept with them: after a click nothing is worked out anew."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch

from ...diffseg_core import Images, Segments
from ...diffseg_core.images import matching_images
from ...diffseg_core.objects.object_finder import ObjectFinder
from ..progress import stop_if_interrupted
from .shown_files import temporary_file
from .view import MAX_TABLE, object_view


@dataclass
class _Kept:
    image: weakref.ref[torch.Tensor] | None  # by which it is known again, and not kept
    finder: ObjectFinder
    view: dict[str, Any] = field(default_factory=dict)

    def is_of(self, image: torch.Tensor | None) -> bool:
        """Whether it was made with this image, or without one."""
        if image is None or self.image is None:
            return image is None and self.image is None
        return self.image() is image


def finder_of(
    segments: Segments, image: torch.Tensor | None, images: Images | None, image_index: int
) -> ObjectFinder:
    """The finder of one image.

    Args:
        segments: with a hierarchy.
        image: the node's input, by which an image is known again.
        images: the same, checked; None where there is none.
        image_index: which of them.
    """
    return _kept(segments, image, images, image_index).finder


def object_view_of(
    segments: Segments, image: torch.Tensor | None, images: Images | None, image_index: int
) -> dict[str, Any]:
    """What the picker needs to find objects in one image, see `picker_view.object_view`.

    Nothing of segments without a hierarchy, or with too many leaves to send.
    """
    if not segments.hierarchies or not 0 < segments.hierarchies[image_index].count <= MAX_TABLE:
        return {}
    kept = _kept(segments, image, images, image_index)
    if not kept.view or not all(temporary_file(entry).is_file() for entry in kept.view.values()):
        kept.view = object_view(kept.finder, segments.hierarchies[image_index].heights)
    return kept.view


def _kept(segments: Segments, image: torch.Tensor | None, images: Images | None, image_index: int) -> _Kept:
    key = (finder_of, image_index)
    kept: _Kept | None = segments.kept.get(key)
    if kept is None or not kept.is_of(image):
        pixels = None if images is None else matching_images(images, segments)[image_index]
        known = None if image is None else weakref.ref(image)
        tree = segments.hierarchies[image_index]
        kept = _Kept(known, ObjectFinder(tree, pixels, on_step=stop_if_interrupted))
        segments.kept[key] = kept
    return kept
