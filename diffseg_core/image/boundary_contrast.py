"""How strongly an image changes across the borders between segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from .watershed import STRAIGHT, differences

MIN_CONTRAST = 1e-3  # of a contrast, in colour values of 0..1

Matrix = npt.NDArray[np.float64]


class Contrast:
    """The mean difference of colour across every border, kept up to date as segments join.

    Args:
        image: float32 ``[H, W, 3]`` in 0..1, on the CPU.
        segments: int ``[H, W]``, 0..S-1.
        weight: ≥ 0, the power of a border's contrast in `factors`; with 0 it does not count.

    Attributes:
        touching: bool ``[S, S]``, symmetric: which segments have a border in common at the start.
    """

    def __init__(self, image: torch.Tensor, segments: torch.Tensor, weight: float) -> None:
        count = int(segments.max()) + 1
        self._weight = weight
        self._length = np.zeros((count, count))
        self._sum = np.zeros((count, count))
        labels = segments.to("cpu", torch.int32).numpy()
        for direction in STRAIGHT:
            ends, others, difference = differences(image, direction, labels)
            pairs = labels.ravel()[ends].astype(np.int64) * count + labels.ravel()[others]
            self._length += np.bincount(pairs, minlength=count**2).reshape(count, count)
            self._sum += np.bincount(pairs, difference, minlength=count**2).reshape(count, count)
        self._length += self._length.T
        self._sum += self._sum.T
        self.touching = self._length > 0
        borders = self._sum[self.touching] / self._length[self.touching]
        self._typical = max(MIN_CONTRAST, float(np.median(borders))) if borders.size else 1.0

    def factors(self, first: int | None = None, others: npt.NDArray[np.int64] | None = None) -> Matrix:
        """The contrast of borders as a share of the image's typical one, to the power of the weight.

        Typical is the median over all borders of the segments at the start. 1 where there is no border.

        Args:
            first, others: the borders of one segment with some; without them all, ``[S, S]``.
        """
        some = np.s_[:] if first is None else np.s_[first, others]
        length = self._length[some]
        mean = np.divide(self._sum[some], length, out=np.full_like(length, self._typical), where=length > 0)
        factors: Matrix = (np.maximum(mean, MIN_CONTRAST) / self._typical) ** self._weight
        return factors

    def join(self, first: int, second: int) -> npt.NDArray[np.int64]:
        """Let ``second`` become part of ``first``; returns the neighbours of both."""
        for table in (self._length, self._sum):
            table[first] += table[second]
            table[second] = table[:, second] = 0
            table[first, first] = 0
            table[:, first] = table[first]
        return np.flatnonzero(self._length[first])
