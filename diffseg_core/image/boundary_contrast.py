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
        lengths: float64 ``[S, S]``, symmetric: pixels of the border between two segments.
        steps: float64 ``[S, S]``, symmetric: differences of colour along it, added up.
    """

    def __init__(self, image: torch.Tensor, segments: torch.Tensor, weight: float) -> None:
        count = int(segments.max()) + 1
        self._weight = weight
        self.lengths = np.zeros((count, count))
        self.steps = np.zeros((count, count))
        labels = segments.to("cpu", torch.int32).numpy()
        for direction in STRAIGHT:
            ends, others, difference = differences(image, direction, labels)
            pairs = labels.ravel()[ends].astype(np.int64) * count + labels.ravel()[others]
            self.lengths += np.bincount(pairs, minlength=count**2).reshape(count, count)
            self.steps += np.bincount(pairs, difference, minlength=count**2).reshape(count, count)
        self.lengths += self.lengths.T
        self.steps += self.steps.T
        self.touching = self.lengths > 0
        borders = self.steps[self.touching] / self.lengths[self.touching]
        self._typical = max(MIN_CONTRAST, float(np.median(borders))) if borders.size else 1.0

    def factors(self, first: int | None = None, others: npt.NDArray[np.int64] | None = None) -> Matrix:
        """The contrast of borders as a share of the image's typical one, to the power of the weight.

        Typical is the median over all borders of the segments at the start. 1 where there is no border.

        Args:
            first, others: the borders of one segment with some; without them all, ``[S, S]``.
        """
        some = np.s_[:] if first is None else np.s_[first, others]
        length = self.lengths[some]
        mean = np.divide(self.steps[some], length, out=np.full_like(length, self._typical), where=length > 0)
        factors: Matrix = (np.maximum(mean, MIN_CONTRAST) / self._typical) ** self._weight
        return factors

    def join(self, first: int, second: int) -> npt.NDArray[np.int64]:
        """Let ``second`` become part of ``first``; returns the neighbours of both."""
        for table in (self.lengths, self.steps):
            table[first] += table[second]
            table[second] = table[:, second] = 0
            table[first, first] = 0
            table[:, first] = table[first]
        return np.flatnonzero(self.lengths[first])
