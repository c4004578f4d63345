"""From attention maps to segments: the paper's method from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from .. import checks, progress
from ..attention.maps import AttentionMaps
from ..errors import InvalidSettingError
from ..grid import GridSize
from ..segments import Segments, order_by_area
from ..settings import (
    ANCHORS,
    MERGE_PASSES,
    MERGE_THRESHOLD,
    REFINEMENT,
    SMALLEST_PIECE,
    Refinement,
)
from .merge import AnchorDistances, anchor_tokens, kmeans, merge
from .small_regions import merge_small_regions


def segment(
    maps: AttentionMaps,
    image_size: tuple[int, int],
    merge_threshold: float | Sequence[float] = MERGE_THRESHOLD.default,
    merge_passes: int = MERGE_PASSES.default,
    anchors: int = ANCHORS.default,
    refine: Refinement = REFINEMENT.default,
    smallest_area: float = SMALLEST_PIECE.default,
) -> Segments:
    """Segment every image of ``maps`` (paper, sections 3.2 to 3.4).

    Args:
        maps: the captured attention.
        image_size: height and width of the label map in pixels.
        merge_threshold: symmetric KL divergence, 0.01..10 nats, under which maps merge: one for every pass,
            or a sequence with one for each; NumPy's and PyTorch's numbers and vectors will do too.
            Higher gives fewer segments. Published for Stable Diffusion 1.4: 1.1 on COCO-Stuff-27,
            0.9 on Cityscapes.
        merge_passes: number of passes, 1..20; ignored where a sequence of thresholds is given.
        anchors: anchors per side of the grid, 2..128; a grid whose shorter side has fewer places (a
            panorama's) is given as many as that, so that images of any shape go through one setting.
        refine: "kmeans" runs Lloyd's algorithm over all maps, started at the proposals.
        smallest_area: share of the image, 0..0.5; connected pieces smaller than this join the neighbour
            with which they share most border.

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
    size = checks.size(image_size, "an image")
    thresholds = _checked_thresholds(merge_threshold, merge_passes)
    anchors, refine = ANCHORS.checked(anchors), REFINEMENT.checked(refine)
    smallest_area = SMALLEST_PIECE.checked(smallest_area)
    if min(maps.grid) < 2:
        raise InvalidSettingError(
            f"Expected an attention grid of at least 2×2 places, got {maps.grid}. Capture the image at a "
            "larger working size, or with all of the model's resolutions."
        )
    tokens = anchor_tokens(maps.grid, min(anchors, *maps.grid))
    labels, proposals = [], []
    for image_index, attention in enumerate(maps.aggregate()):
        distances = maps.keep(
            ("anchor distances", image_index), len(tokens), partial(AnchorDistances, attention, tokens)
        )
        means = merge(attention, tokens, thresholds, distances)
        if refine == "kmeans":
            means = kmeans(attention, means)
        image_proposals = means.view(-1, *maps.key_grid)
        image_labels = suppress(image_proposals, size)
        progress.step()
        if smallest_area > 0:
            cleaned = merge_small_regions(image_labels.cpu().numpy(), round(smallest_area * size.tokens))
            image_labels = torch.from_numpy(cleaned).to(image_labels.device)
        ordered, kept = order_by_area(image_labels, image_proposals)
        labels.append(ordered)
        proposals.append(kept)
        progress.image_done(len(labels))
    return Segments(torch.stack(labels), tuple(proposals))


def suppress(proposals: torch.Tensor, image_size: GridSize) -> torch.Tensor:
    """Give every pixel of the image the proposal that is highest there (paper, section 3.4).

    Proposals are upsampled bilinearly (half-pixel centres); the first of equals wins.

    Args:
        proposals: float32 ``[K, h, w]``, values ≥ 0.
        image_size: size of the label map in pixels.

    Returns:
        int32 ``[H, W]``, indices into the proposals.
    """
    labels = torch.zeros(image_size, dtype=torch.int32, device=proposals.device)
    highest = proposals.new_full(image_size, -1.0)
    for index, proposal in enumerate(proposals):
        progress.step()
        values = F.interpolate(proposal[None, None], image_size, mode="bilinear")[0, 0]
        labels.masked_fill_(values > highest, index)
        torch.maximum(highest, values, out=highest)
    return labels


def _checked_thresholds(threshold: object, passes: int) -> list[float]:
    values = threshold.tolist() if isinstance(threshold, torch.Tensor | np.ndarray) else threshold
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values] * MERGE_PASSES.checked(passes)
    if not values:
        raise InvalidSettingError("Expected a merge threshold for at least one pass, got none.")
    return [MERGE_THRESHOLD.checked(value) for value in values]
