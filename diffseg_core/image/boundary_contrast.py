"""How strongly an image changes across the borders between segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from .watershed import STRAIGHT, differences

MIN_CONTRAST = 1e-3  # of a contrast, in colour values of 0..1

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Contrast:
    """The mean difference of colour across every border, kept up to date as segments join.

    Only borders that there are take memory.

    Args:
        image: float32 ``[H, W, 3]`` in 0..1, on the CPU.
        segments: int ``[H, W]``, 0..S-1.
        weight: ≥ 0, the power of a border's contrast in factors; with 0 it does not count.

    Attributes:
        pairs: int64 ``[E, 2]``, the segments on both sides of every border at the start, the smaller number
            first, in ascending order.
        lengths: float64 ``[E]``: pixels of the border; as segments join, of the one that it became part of.
        steps: float64 ``[E]``: differences of colour along it, added up.
    """

    def __init__(self, image: torch.Tensor, segments: torch.Tensor, weight: float) -> None:
        count = int(segments.max()) + 1
        self._weight = weight
        labels = segments.to("cpu", torch.int32).numpy()
        here, there, difference = (
            np.concatenate(parts)
            for parts in zip(*(differences(image, way, labels) for way in STRAIGHT), strict=True)
        )
        sides = np.sort(labels.ravel()[np.stack((here, there), 1)].astype(np.int64), axis=1)
        codes, border = np.unique(sides[:, 0] * count + sides[:, 1], return_inverse=True)
        self.pairs: Integers = np.stack(np.divmod(codes, count), 1)
        self.lengths: Vector = np.bincount(border, minlength=len(codes)).astype(np.float64)
        self.steps: Vector = np.bincount(border, difference, minlength=len(codes)).astype(np.float64)
        means = self.steps / self.lengths
        self._typical = max(MIN_CONTRAST, float(np.median(means))) if len(means) else 1.0
        self._borders: list[dict[int, int]] = [{} for _ in range(count)]
        for number, (first, second) in enumerate(self.pairs.tolist()):
            self._borders[first][second] = self._borders[second][first] = number

    def factors(self, borders: Integers | slice = np.s_[:]) -> Vector:
        """The contrast of borders as a share of the image's typical one, to the power of the weight.

        Typical is the median over all borders of the segments at the start.

        Args:
            borders: which, by their place in ``pairs``.
        """
        means = self.steps[borders] / self.lengths[borders]
        factors: Vector = (np.maximum(means, MIN_CONTRAST) / self._typical) ** self._weight
        return factors

    def around(self, segment: int) -> tuple[Integers, Vector]:
        """The neighbours of a segment, in no order, and the factors of the borders with them."""
        borders = self._borders[segment]
        neighbours = np.fromiter(borders, np.int64, len(borders))
        return neighbours, self.factors(np.fromiter(borders.values(), np.int64, len(borders)))

    def join(self, kept: int, gone: int) -> None:
        """Let one segment become part of another; in the time that looking at its own borders takes."""
        ours, theirs = self._borders[kept], self._borders[gone]
        del ours[gone], theirs[kept]
        for other, border in theirs.items():
            beside = self._borders[other]
            del beside[gone]
            if other in ours:
                self.lengths[ours[other]] += self.lengths[border]
                self.steps[ours[other]] += self.steps[border]
            else:
                ours[other] = beside[kept] = border
        self._borders[gone] = {}
