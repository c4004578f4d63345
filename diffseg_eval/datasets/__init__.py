"""Datasets in the folder layouts in which they are downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from diffseg_core.errors import InvalidSettingError

from ..types import Dataset
from .layouts import LAYOUTS, LayoutDataset
from .objects import open_objects
from .whole_images import Bsds500, Folder

DATASETS: Mapping[str, tuple[Callable[..., Dataset], str | None]] = {
    **{name: (partial(LayoutDataset, layout), "resolution") for name, layout in LAYOUTS.items()},
    "bsds500": (Bsds500, "split"),
    "folder": (Folder, "void"),
    "clicks": (partial(open_objects, prompts="clicks"), None),
    "boxes": (partial(open_objects, prompts="boxes"), None),
}
"""The names that `open_dataset` knows, how each is opened, and its option."""


def open_dataset(name: str, root: str | Path, **options: Any) -> Dataset:
    """Find a dataset's files, before anything is run on them.

    Args:
        name: one of `DATASETS`.
        root: its folder; the rows and classes here say what it holds.
        options: each with its value, or None for the dataset's own. ``resolution`` of those of COCO,
            Cityscapes, Pascal and ADE20K: side in pixels of the square to which images are cropped and
            resized, 512 or as DiffCut 1024. ``split`` of "bsds500": "train", "val" or "test"; "val" if None.
            ``void`` of "folder": the value of pixels that are not annotated; if None there are none.

    Raises:
        DatasetError: files are missing; says which, the layout that is expected, and where to get them.
        InvalidSettingError: an unknown name, or an option that this dataset does not have.
    """
    if name not in DATASETS:
        raise InvalidSettingError(f"Expected a dataset of {', '.join(DATASETS)}, got {name!r}.")
    open_, option = DATASETS[name]
    values = {key: value for key, value in sorted(options.items()) if value is not None}
    for key in values.keys() - {option}:
        allowed = f"Its only option is {option}." if option else "It has no options."
        raise InvalidSettingError(f"Expected no {key} for {name}, got {values[key]!r}. {allowed}")
    return open_(root=Path(root), **values)
