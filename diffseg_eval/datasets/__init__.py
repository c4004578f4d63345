"""Datasets in the folder layouts in which they are downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffseg_core.errors import InvalidSettingError

from ..types import Dataset
from .ade20k import Ade20k
from .bsds500 import Bsds500
from .cityscapes27 import Cityscapes27
from .coco27_panoptic import Coco27Panoptic
from .coco_object import CocoObject
from .cocostuff27 import CocoStuff27
from .folder import Folder
from .pascal import PascalContext, PascalVoc

__all__ = [
    "DATASETS",
    "Ade20k",
    "Bsds500",
    "Cityscapes27",
    "Coco27Panoptic",
    "CocoObject",
    "CocoStuff27",
    "Folder",
    "PascalContext",
    "PascalVoc",
    "open_dataset",
]


@dataclass(frozen=True)
class _Kind:
    open: Callable[..., Dataset]
    options: frozenset[str]


_KINDS: Mapping[str, _Kind] = {
    "cocostuff27": _Kind(CocoStuff27, frozenset({"resolution"})),
    "cityscapes27": _Kind(Cityscapes27, frozenset({"resolution"})),
    "coco27-panoptic": _Kind(Coco27Panoptic, frozenset({"resolution"})),
    "voc": _Kind(PascalVoc, frozenset({"resolution"})),
    "context": _Kind(PascalContext, frozenset({"resolution"})),
    "coco-object": _Kind(CocoObject, frozenset({"resolution"})),
    "ade20k": _Kind(Ade20k, frozenset({"resolution"})),
    "bsds500": _Kind(Bsds500, frozenset({"split"})),
    "folder": _Kind(Folder, frozenset({"void"})),
}

DATASETS = tuple(_KINDS)
"""The names that `open_dataset` knows."""


def open_dataset(
    name: str,
    root: str | Path,
    resolution: int | None = None,
    split: str | None = None,
    void: int | None = None,
) -> Dataset:
    """Find a dataset's files, before anything is run on them.

    Args:
        name: one of `DATASETS`.
        root: its folder; the classes here say what it holds.
        resolution: of the datasets of COCO, Cityscapes, Pascal and ADE20K: side in pixels of the square to
            which images are cropped and resized. None is 512 of "cocostuff27", "cityscapes27" and
            "coco27-panoptic", and 1024 of the others.
        split: of "bsds500": "train", "val" or "test". None is "val".
        void: of "folder": the value of pixels that are not annotated. None: there are none.

    Raises:
        DatasetError: files are missing; says which, the layout that is expected, and where to get them.
        InvalidSettingError: an unknown name, an option that this dataset does not have, or a value outside
            an option's range.
    """
    if name not in _KINDS:
        raise InvalidSettingError(f"Expected a dataset of {', '.join(DATASETS)}, got {name!r}.")
    given: dict[str, Any] = {"resolution": resolution, "split": split, "void": void}
    given = {option: value for option, value in given.items() if value is not None}
    kind = _KINDS[name]
    for option in sorted(given.keys() - kind.options):
        raise InvalidSettingError(
            f"Expected no {option} for {name}, got {given[option]!r}. "
            f"Its only option is {', '.join(kind.options)}."
        )
    return kind.open(root, **given)
