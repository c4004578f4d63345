"""From attention maps to segments: the paper's method from end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Literal

import numpy as np
import torch

from ..attention.maps import AttentionMaps
from ..errors import InvalidSettingError
from ..grid import GridSize
from ..segments import Segments, order_by_area
from .anchor_distances import AnchorDistances
from .kmeans import kmeans
from .merge import anchor_tokens, merge
from .small_regions import merge_small_regions
from .suppression import suppress

Refinement = Literal["none", "kmeans"]


def segment(
    maps: AttentionMaps,
    image_size: tuple[int, int],
    merge_threshold: float | Sequence[float] = 1.0,
    merge_passes: int = 3,
    anchors: int = 16,
    refine: Refinement = "none",
    smallest_area: float = 0.0,
    on_image: Callable[[int], None] = lambda done: None,
    on_step: Callable[[], None] = lambda: None,
) -> Segments:
    """Segment every image of ``maps`` (paper, sections 3.2 to 3.4).

    Args:
        maps: the captured attention.
        image_size: height and width of the label map in pixels.
        merge_threshold: symmetric KL divergence, in nats, under which maps merge: one for every pass,
            or a sequence with one for each; NumPy's and PyTorch's numbers and vectors will do too.
            Higher gives fewer segments. Published for Stable Diffusion 1.4: 1.1 on COCO-Stuff-27,
            0.9 on Cityscapes.
        merge_passes: number of passes, ≥ 1; ignored where a sequence of thresholds is given.
        anchors: anchors per side of the grid, ≥ 2; a grid whose shorter side has fewer places (a panorama's)
            is given as many as that, so that images of any shape go through one setting.
        refine: "kmeans" runs Lloyd's algorithm over all maps, started at the proposals.
        smallest_area: share of the image, 0..1; connected pieces smaller than this join the neighbour
            with which they share most border.
        on_image: called after each image with the number done; what it raises ends the call.
        on_step: called many times meanwhile, to the same end.

    Returns:
        the segments, on the device of the maps.

    Raises:
        InvalidSettingError: a setting is outside its range, or the attention grid is a single row or column.

    Example:
        >>> attention = torch.full((1, 16, 16), 0.01)
        >>> attention[:, :8, :8] += 0.105
        >>> attention[:, 8:, 8:] += 0.105
        >>> two_halves = AttentionMaps({(4, 4): attention})
        >>> segment(two_halves, image_size=(4, 4), anchors=4).labels[0, :, 0].tolist()
        [0, 0, 1, 1]
    """
    size = GridSize(*image_size)
    thresholds = _checked_thresholds(merge_threshold, merge_passes)
    _check_settings(maps, size, anchors, refine, smallest_area)
    tokens = anchor_tokens(maps.grid, min(anchors, *maps.grid))
    labels, proposals = [], []
    for image_index, attention in enumerate(maps.aggregate()):
        distances = maps.keep(
            ("anchor distances", image_index), len(tokens), partial(AnchorDistances, attention, tokens)
        )
        found = merge(attention, tokens, thresholds, on_step, distances)
        if refine == "kmeans":
            found = kmeans(attention, found, on_step)
        image_proposals = found.view(-1, *maps.key_grid)
        image_labels = suppress(image_proposals, size)
        on_step()
        if smallest_area > 0:
            cleaned = merge_small_regions(image_labels.cpu().numpy(), round(smallest_area * size.tokens))
            image_labels = torch.from_numpy(cleaned).to(image_labels.device)
        ordered, kept = order_by_area(image_labels, image_proposals)
        labels.append(ordered)
        proposals.append(kept)
        on_image(len(labels))
    return Segments(torch.stack(labels), tuple(proposals))


def _checked_thresholds(threshold: object, passes: int) -> list[float]:
    given = _without_array(threshold)
    if isinstance(given, Real):
        if passes < 1:
            raise InvalidSettingError(f"Expected at least 1 merge pass, got {passes}.")
        given = [given] * passes
    if not isinstance(given, Sequence):
        raise InvalidSettingError(
            f"Expected the merge threshold to be a number or a sequence of numbers, got {threshold!r}."
        )
    values = [_number(value) for value in given]
    if not values:
        raise InvalidSettingError("Expected a merge threshold for at least one pass, got none.")
    for value in values:
        if not 0 < value < float("inf"):
            raise InvalidSettingError(
                f"Expected merge thresholds greater than 0 (in nats), got {value:g} among {values}. "
                "Usual values lie from 0.05 to 1.5; higher gives fewer segments."
            )
    return values


def _number(value: object) -> float:
    plain = _without_array(value)
    if not isinstance(plain, Real) or isinstance(plain, bool):
        raise InvalidSettingError(f"Expected merge thresholds to be numbers, got {value!r}.")
    return float(plain)


def _without_array(value: object) -> object:
    """Python's own numbers and lists for those in a tensor or an array."""
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray) else value


def _check_settings(
    maps: AttentionMaps, size: GridSize, anchors: int, refine: str, smallest_area: float
) -> None:
    if size.height < 1 or size.width < 1:
        raise InvalidSettingError(f"Expected an image size of at least 1×1 pixels, got {size}.")
    if anchors < 2:
        raise InvalidSettingError(f"Expected at least 2 anchors per side of the grid, got {anchors}.")
    if min(maps.grid) < 2:
        raise InvalidSettingError(
            f"Expected an attention grid of at least 2×2 places, got {maps.grid}. Capture the image at a "
            "larger working size, or with all of the model's resolutions."
        )
    if refine not in ("none", "kmeans"):
        raise InvalidSettingError(f"Expected refine to be 'none' or 'kmeans', got {refine!r}.")
    if not 0 <= smallest_area < 1:
        raise InvalidSettingError(
            f"Expected a smallest area from 0 to below 1 (share of the image), got {smallest_area:g}."
        )
