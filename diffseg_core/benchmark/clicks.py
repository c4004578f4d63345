"""The protocol of interactive segmentation: clicks at the middle of the largest error, and boxes.

As in the literature (f-BRS: Sofiiuk et al., CVPR 2020): the Euclidean distance transforms of what is missing
and of what is too much, padded by 1, without ignored and clicked pixels; the click goes to the higher of the
two maxima, positive where what is missing has it strictly, at its first pixel in row order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..objects.object_finder import ObjectFinder
from ..objects.points import Point
from ..objects.prompts import Box, Click
from .photographs import Bitmap as Bitmap
from .photographs import Photograph

MAX_CLICKS = 20
WANTED = (0.85, 0.9)
"""The IoUs that are to be reached, in ascending order."""


class Truth(NamedTuple):
    """An object that a person drew.

    Attributes:
        mask: the object, bool ``[H, W]`` with at least one pixel.
        ignored: pixels that do not count, bool ``[H, W]``.
    """

    mask: Bitmap
    ignored: Bitmap


def click_ious(
    method: Callable[[Sequence[Click]], Bitmap],
    truth: Truth,
    clicks: int = MAX_CLICKS,
    enough: float = np.inf,
    least: int = 1,
) -> list[float]:
    """The IoU after each of so many clicks.

    Args:
        method: gives the mask of all clicks so far.
        truth: the object.
        clicks: how many.
        enough: an IoU at which no further click is made.
        least: clicks that are made all the same.
    """
    mask = np.zeros(truth.mask.shape, dtype=bool)
    clicked = np.zeros(truth.mask.shape, dtype=bool)
    clicks_so_far: list[Click] = []
    ious: list[float] = []
    while len(ious) < clicks and (len(ious) < least or max(ious) < enough):
        click = next_click(mask, truth, clicked)
        clicked[click.point.y, click.point.x] = True
        clicks_so_far.append(click)
        mask = method(clicks_so_far)
        ious.append(object_iou(mask, truth))
    return ious


def next_click(mask: Bitmap, truth: Truth, clicked: Bitmap) -> Click:
    """Where a person corrects a mask next, after the clicks at ``clicked``."""
    from scipy import ndimage

    missing = truth.mask & ~mask & ~truth.ignored
    too_much = mask & ~truth.mask & ~truth.ignored
    depths = [
        ndimage.distance_transform_edt(np.pad(error, 1))[1:-1, 1:-1] * ~clicked
        for error in (missing, too_much)
    ]
    positive = bool(depths[0].max() > depths[1].max())
    y, x = np.unravel_index(int(depths[0 if positive else 1].argmax()), mask.shape)
    return Click(Point(int(x), int(y)), positive)


def clicks_needed(ious: Sequence[float], wanted: float) -> int:
    """The first click after which the IoU is reached; as many as there are where it never is (NoC)."""
    return next((count for count, iou in enumerate(ious, start=1) if iou >= wanted), len(ious))


def count_clicks(finder: ObjectFinder, photograph: Photograph, most: int) -> list[tuple[int, ...]]:
    """Click every object of a photograph until it is found.

    All that is not the object counts, annotated or not, as it does for a person who wants it.

    Args:
        finder: of this photograph.
        photograph: with its objects.
        most: clicks for each.

    Returns:
        for each object the clicks to each of `WANTED`, at most ``most``.
    """
    counts = []
    for index in range(len(photograph.objects)):
        mask = photograph.mask(index)
        truth = Truth(mask, np.zeros_like(mask))
        ious = click_ious(lambda clicks: finder.find(clicks).mask, truth, most, max(WANTED))
        counts.append(tuple(clicks_needed(ious, wanted) for wanted in WANTED))
    return counts


def object_iou(mask: Bitmap, truth: Truth) -> float:
    """Of the pixels that count, those in both over those in either: 0..1."""
    counted = mask & ~truth.ignored
    whole = (counted | truth.mask).sum()
    return float((counted & truth.mask).sum() / whole)


def box_of(truth: Truth, larger: float = 0.0) -> Box:
    """The box of the object, each side moved out by a share of its extent, as far as the image goes."""
    rows, columns = np.nonzero(truth.mask)
    height, width = truth.mask.shape
    down, across = int(larger * (rows.max() - rows.min())), int(larger * (columns.max() - columns.min()))
    return Box(
        max(0, int(columns.min()) - across),
        max(0, int(rows.min()) - down),
        min(width, int(columns.max()) + 1 + across),
        min(height, int(rows.max()) + 1 + down),
    )
