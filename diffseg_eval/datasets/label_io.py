"""Images and label maps read from files, or refused with the file's name and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..types import VOID, LabelMap
from .layout import Source

GREY = frozenset({"1", "L", "P"})
"""Pillow's modes of label files with one value of at most 8 bits per pixel; of a palette, the index."""
DEEP_GREY = frozenset({"I", "I;16", "I;16B"})
"""One value of 16 bits per pixel."""
COLOUR = frozenset({"RGB"})
"""An id in the colours, as in COCO's panoptic format: R + 256 G + 65536 B."""

KINDS = {GREY: "8-bit grey or palette indices", DEEP_GREY: "16-bit grey", COLOUR: "RGB"}


def read_annotated_image(path: Path, source: Source) -> Image.Image:
    """An image as 8-bit RGB, in the orientation of its pixels.

    A camera's orientation tag is not followed: annotations lie on the pixels as they are stored.

    Raises:
        DatasetError: missing, damaged, or of more than 8 bits.
    """
    image = _open(path, source)
    if image.mode.startswith(("I", "F")):
        raise source.error(f"Expected an image of 8 bits per channel in {path}, got mode {image.mode}.")
    return image.convert("RGB")


def label_kind(path: Path, source: Source) -> frozenset[str]:
    """How a file holds labels: GREY, DEEP_GREY or COLOUR.

    Raises:
        DatasetError: in none of these ways.
    """
    mode = _open(path, source).mode
    for kind in KINDS:
        if mode in kind:
            return kind
    raise source.error(f"Expected labels as {', '.join(KINDS.values())} in {path}, got mode {mode}.")


def read_labels(path: Path, kind: frozenset[str], source: Source) -> LabelMap:
    """The values of a label file.

    Args:
        path: of a PNG.
        kind: GREY, DEEP_GREY or COLOUR.
        source: of the dataset.

    Returns:
        ``[H, W]`` from 0 up; of COLOUR, the ids.

    Raises:
        DatasetError: missing, damaged, or of another kind.
    """
    image = _open(path, source)
    if image.mode not in kind:
        raise source.error(f"Expected labels as {KINDS[kind]} in {path}, got mode {image.mode}.")
    values = np.array(image).astype(np.int32)
    if kind == COLOUR:
        return values @ np.array([1, 256, 256**2], np.int32)
    return values


def require_size(labels: npt.NDArray[Any], image: Image.Image, path: Path, source: Source) -> None:
    """Refuse an annotation that is not of its image's size.

    Raises:
        DatasetError: gives both sizes.
    """
    if labels.shape != (image.height, image.width):
        expected = f"{image.width}×{image.height} pixels, its image's size"
        got = "×".join(map(str, labels.shape[::-1]))
        raise source.error(f"Expected an annotation of {expected}, in {path}, got {got}.")


def to_classes(values: LabelMap, table: Mapping[int, int], path: Path, source: Source) -> LabelMap:
    """Classes of the values in a file.

    Args:
        values: ``[H, W]``, 0..255.
        table: the class of every value that may be there, `VOID` included.
        path: of the file, for the error.
        source: of the dataset.

    Raises:
        DatasetError: a value that is not in the table.
    """
    unexpected = sorted(set(np.unique(values).tolist()) - table.keys())
    if unexpected:
        allowed = _as_ranges(sorted(table))
        raise source.error(f"Expected values {allowed} in {path}, got {_as_ranges(unexpected)}.")
    lookup = np.full(256, VOID, np.int32)
    lookup[list(table)] = list(table.values())
    return lookup[values]


def consecutive_labels(values: LabelMap, void: int | None = None) -> LabelMap:
    """The same regions under 0, 1, 2 … in ascending order of their values; `VOID` where the value is void.

    >>> import numpy as np
    >>> consecutive_labels(np.array([[300, 0, 7]], np.int32), void=0)
    array([[ 1, -1,  0]], dtype=int32)
    """
    is_annotated = np.ones(values.shape, np.bool_) if void is None else values != void
    labels = np.full(values.shape, VOID, np.int32)
    labels[is_annotated] = np.unique(values[is_annotated], return_inverse=True)[1]
    return labels


def _open(path: Path, source: Source) -> Image.Image:
    try:
        with Image.open(path) as file:
            file.load()
            return file.copy()
    except FileNotFoundError:
        raise source.error(f"Expected {path}, which is missing.") from None
    except (OSError, SyntaxError) as error:  # Pillow tells of some damaged files by SyntaxError.
        raise source.error(f"Expected an image in {path}, which cannot be read: {error}.") from error


def _as_ranges(values: list[int]) -> str:
    """Ascending numbers, human-readable: "0..33, 255"."""
    starts = [value for value in values if value - 1 not in values]
    ends = [value for value in values if value + 1 not in values]
    return ", ".join(
        str(start) if start == end else f"{start}..{end}" for start, end in zip(starts, ends, strict=True)
    )
