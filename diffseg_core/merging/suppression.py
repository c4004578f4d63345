"""Non-maximum suppression (paper, section 3.4): proposals to a label map.

Inside a cell of the grid, between four tokens, a proposal is nowhere above the highest nor below the lowest
of its values at the corners. So most cells have one proposal that can win; only the pixels of the others are
compared.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ..grid import GridSize

CHUNK_VALUES = 2**20  # upsampled values held at a time: few enough to stay in a processor's cache
ROUNDING = 1e-6  # share by which an interpolated value may be off


def suppress(proposals: torch.Tensor, image_size: GridSize) -> torch.Tensor:
    """Give every pixel of the image the proposal that is highest there.

    Proposals are upsampled bilinearly (half-pixel centres); the first of equals wins.

    Args:
        proposals: float32 ``[K, h, w]``, values ≥ 0.
        image_size: size of the label map in pixels.

    Returns:
        int32 ``[H, W]``, indices into the proposals.
    """
    rows = _Axis(proposals.shape[1], image_size.height, proposals.device)
    columns = _Axis(proposals.shape[2], image_size.width, proposals.device)
    corners = F.pad(proposals[None], (0, 1, 0, 1), mode="replicate")[0]
    highest, lowest = (_of_corners(of_two, corners) for of_two in (torch.maximum, torch.minimum))
    can_win = highest >= lowest.amax(0) * (1 - ROUNDING)
    # Per cell those that can win in their order, then the others.
    candidates = can_win.byte().argsort(dim=0, descending=True, stable=True)
    counts = can_win.sum(0)
    sure = candidates[0].int()
    labels = sure.index_select(0, rows.cell).index_select(1, columns.cell)
    open_cells = (counts > 1).nonzero()
    counts = counts[open_cells[:, 0], open_cells[:, 1]]
    order = counts.argsort(stable=True)
    open_cells, counts = open_cells[order], counts[order]
    chunk = max(1, CHUNK_VALUES // max(1, rows.longest * columns.longest))
    most = counts[chunk - 1 :: chunk].tolist() + counts[-1:].tolist()
    for number, start in enumerate(range(0, len(open_cells), chunk)):
        row, column = open_cells[start : start + chunk].T
        _compare(corners, candidates[: most[number], row, column], row, column, rows, columns, labels)
    return labels


def _of_corners(
    of_two: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], corners: torch.Tensor
) -> torch.Tensor:
    """The highest or lowest value at the corners of every cell: ``[K, h, w]`` of ``[K, h + 1, w + 1]``."""
    along = of_two(corners[:, :-1], corners[:, 1:])
    return of_two(along[..., :-1], along[..., 1:])


class _Axis:
    """The pixels along one axis and the cells that they lie in.

    Args:
        tokens: of the grid along the axis.
        pixels: of the image.

    Attributes:
        cell: of every pixel: int64 ``[pixels]``.
        longest: the most pixels that a cell has.
    """

    def __init__(self, tokens: int, pixels: int, device: torch.device) -> None:
        # In float32 and in this order, as PyTorch's own interpolation.
        place = (tokens / pixels) * (torch.arange(pixels, dtype=torch.float32) + 0.5) - 0.5
        place.clamp_(min=0)
        cell = place.long().clamp_(max=tokens - 1)
        lengths = cell.bincount(minlength=tokens)
        self.longest = int(lengths.max())
        self._pixels = pixels
        self._share = (place - cell).clamp_(0, 1).to(device)
        self._first, self._length = (lengths.cumsum(0) - lengths).to(device), lengths.to(device)
        self.cell = cell.to(device)

    def pixels_of(self, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The pixels of cells ``[N]``, the share of the further corner in each, and whether it is the cell's.

        All are ``[N, longest]``; a shorter cell's last entries are those of other pixels.
        """
        step = torch.arange(self.longest, device=cells.device)
        pixels = (self._first[cells, None] + step).clamp_(max=self._pixels - 1)
        return pixels, self._share[pixels], step < self._length[cells, None]


def _compare(
    corners: torch.Tensor,
    candidates: torch.Tensor,
    row: torch.Tensor,
    column: torch.Tensor,
    rows: _Axis,
    columns: _Axis,
    labels: torch.Tensor,
) -> None:
    """Write the winners of some cells into the labels: of ``candidates`` ``[M, N]`` for ``N`` cells."""
    y, down, inside_y = rows.pixels_of(row)
    x, right, inside_x = columns.pixels_of(column)
    left = 1 - right[:, None]
    right = right[:, None]
    for rank, proposal in enumerate(candidates):
        at = [corners[proposal, row + i, column + j, None] for i in (0, 1) for j in (0, 1)]
        near = (1 - down) * at[0] + down * at[2]
        far = (1 - down) * at[1] + down * at[3]
        value = torch.addcmul(near[..., None] * left, far[..., None], right)
        if rank == 0:
            best, winner = value, proposal.int()[:, None, None].expand_as(value)
        else:
            better = value > best
            winner = torch.where(better, proposal.int()[:, None, None], winner)
            best = torch.maximum(best, value)
    inside = inside_y[..., None] & inside_x[:, None]
    pixels = y[..., None] * labels.shape[1] + x[:, None]
    labels.view(-1)[pixels[inside]] = winner[inside]
