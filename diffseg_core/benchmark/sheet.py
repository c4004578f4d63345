"""One picture of all photographs with the segments that a check found in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..output.overlay import draw_overlay
from ..segments import Segments
from .photographs import Photograph, read_photographs
from .trials import CheckResults
from .verdicts import best_trial

COLUMNS, TILE = 5, (240, 320)  # height and width in pixels
BACKGROUND = 0.13  # grey


def draw_sheet(results: CheckResults) -> torch.Tensor:
    """Draw the segments at the settings that were chosen over the photographs.

    Returns:
        float32 ``[1, H, W, 3]`` in 0..1, the photographs in rows of up to five; one grey tile where nothing
        was measured on all of them.
    """
    trial = best_trial(results)
    labels = {} if trial is None else results.labels.get(trial, {})
    tiles = [
        _tile(photograph, labels[photograph.name])
        for photograph in read_photographs(results.plan.photographs)
        if photograph.name in labels
    ] or [torch.full((*TILE, 3), BACKGROUND)]
    columns = min(COLUMNS, len(tiles))
    tiles += [torch.full((*TILE, 3), BACKGROUND)] * (-len(tiles) % columns)
    rows = [torch.cat(tiles[first : first + columns], dim=1) for first in range(0, len(tiles), columns)]
    return torch.cat(rows)[None]


def _tile(photograph: Photograph, labels: npt.NDArray[Any]) -> torch.Tensor:
    segments = Segments(torch.from_numpy(np.asarray(labels, np.int32))[None], ())
    drawn = draw_overlay(photograph.images, segments, numbers=False).cpu().movedim(-1, 1)
    height, width = drawn.shape[2:]
    scale = min(TILE[0] / height, TILE[1] / width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = F.interpolate(drawn, size=size, mode="bilinear", antialias=True)[0].movedim(0, -1)
    tile = torch.full((*TILE, 3), BACKGROUND)
    top, left = (TILE[0] - size[0]) // 2, (TILE[1] - size[1]) // 2
    tile[top : top + size[0], left : left + size[1]] = small.clamp(0.0, 1.0)
    return tile
