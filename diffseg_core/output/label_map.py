"""Label maps as images in flat colours, as ControlNet's segmentation models take them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import torch

from .. import checks
from ..errors import InvalidSettingError
from ..segments import Segments, check_indices, parse_indices
from ..settings import PALETTE, Palette
from . import ade20k
from .palette import choose_colours, colours_of
from .poles import segment_poles


def parse_classes(text: str) -> dict[int, str]:
    """Read what segments are, a line each such as ``0 = sky`` or ``2, 5-7 = person``.

    Returns:
        by segment, the first name of its ADE20K class.

    Raises:
        InvalidSettingError: a line that is not of this form, an unknown class, or a segment named twice.

    Example:
        >>> parse_classes("0 = Sky\\n2, 3 = automobile")
        {0: 'sky', 2: 'car', 3: 'car'}
    """
    classes: dict[int, str] = {}
    for line in filter(str.strip, checks.text(text, "classes").splitlines()):
        left, equals, right = line.partition("=")
        if not (equals and left.strip() and right.strip()):
            raise InvalidSettingError(f'Expected lines such as "0 = sky", got {line.strip()!r}.')
        name = ade20k.NAMES[ade20k.class_number(right)]
        for index in parse_indices(left):
            if index in classes:
                raise InvalidSettingError(
                    f"Expected one class for each segment, got {classes[index]} and {name} for segment "
                    f"{index}. Remove one of the lines."
                )
            classes[index] = name
    return classes


def draw_label_map(
    segments: Segments, palette: Palette = PALETTE.default, classes: Mapping[int, str] | None = None
) -> torch.Tensor:
    """Draw every segment in one flat colour; black where no segment is.

    A segment's colour follows from its place and stays when other segments change, as in `draw_overlay`.

    Args:
        segments: of one or more images.
        palette: "distinct" for the 64 colours of `draw_overlay`, "ADE20K" for those of its 150 classes.
        classes: what segments are, by index, in any of ADE20K's names; with that palette only. A named
            segment has the colour of its class, and segments that are not named take colours of others. In
            a batch the names hold for every image that has the segment. A segment whose own name is that
            of a class has its colour where nothing else is said.

    Returns:
        float32 ``[B, H, W, 3]``, RGB in 0..1, on the CPU.

    Raises:
        InvalidSettingError: an unknown palette or class, classes with another palette than ADE20K, or an
            index that no image has.
    """
    classes = classes or {}
    if not isinstance(classes, Mapping):
        expected = "classes by the index of their segment, such as {0: 'sky'}"
        raise checks.unexpected(expected, classes, "parse_classes reads them from a text.")
    check_palette(palette, named=bool(classes))
    check_indices(segments, classes)
    numbers = {index: ade20k.class_number(name) for index, name in classes.items()}
    # Two classes have the same colour; segments that are not named must not both take it.
    different, place = np.unique(ade20k.COLOURS, axis=0, return_inverse=True)
    drawn = []
    for index, labels in enumerate(segments.labels.cpu().numpy()):
        if palette == "distinct":
            colours = colours_of(segments, index)
        else:
            known: dict[int, int] = {}
            for segment, name in enumerate(segments.names[index] if segments.names else ()):
                with suppress(InvalidSettingError):
                    known[segment] = ade20k.class_number(name)
            fixed = {key: int(place.reshape(-1)[number]) for key, number in (known | numbers).items()}
            poles = segment_poles(segments, index)
            colours = different[choose_colours(poles, len(different), len(different), fixed)]
        drawn.append(np.append(colours, np.zeros((1, 3), np.float32), axis=0)[labels])  # −1: the last, black
    return torch.from_numpy(np.stack(drawn))


def check_palette(palette: str, named: bool) -> None:
    """Refuse palettes that do not exist, and names of classes (``named``) with one that has no classes.

    Raises:
        InvalidSettingError: saying which palette to choose.
    """
    PALETTE.checked(palette)
    if named and palette != "ADE20K":
        raise InvalidSettingError(
            f"Expected no classes with the palette {palette!r}, whose colours stand for none. "
            "Choose the palette ADE20K, or clear the classes."
        )
