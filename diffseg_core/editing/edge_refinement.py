"""Borders that follow the picture: segments grow anew from their cores, over what is alike.

A segment's border is uncertain by about one token of the attention. What lies further inside is sure, and is
kept; they grow over the strip between, over small differences first (see `superpixels.grow`), so that
segments meet where the picture changes most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..picture.smoothing import smoothed
from ..picture.watershed import grow
from ..pictures import matching_pictures
from ..segments import Segments, order_by_area

if TYPE_CHECKING:
    from ..pictures import PictureLike

TOKENS = 1.5  # reach where none is given
USUAL_REACH = 0.025  # share of the longer side, for segments that no attention stands behind
GRAIN = 1.5  # standard deviation in pixels of 512×512, under which changes of colour are no edges
LONG = 4.0  # pixels of a thin part that counts, in squares of the reach
SOFTNESS = 1e-3  # variance of brightness below which the guided filter smooths

NEIGHBOURS = (
    (np.s_[1:], np.s_[:-1]),
    (np.s_[:, 1:], np.s_[:, :-1]),
    (np.s_[:-1], np.s_[1:]),
    (np.s_[:, :-1], np.s_[:, 1:]),
)

Labels = npt.NDArray[np.int32]


def refine(
    segments: Segments,
    pictures: PictureLike,
    reach: float | None = None,
    on_image: Callable[[int], None] = lambda done: None,
) -> Segments:
    """Move every border to the strongest edge of the picture within reach.

    Every connected piece of a segment keeps its core, the pixels further than ``reach`` from another segment;
    where it is thinner, its innermost line. So no segment and no thin part vanishes, and no crumbs arise:
    whatever a piece gains is connected with its core. Pixels of no segment are a piece like any other.

    Args:
        segments: of one or more images.
        pictures: theirs, as `as_pictures` takes them, at the segments' size; one serves all.
        reach: share of the picture's longer side, above 0 to 0.2, by which a border may move. None is one
            and a half tokens of the attention, or 0.025 for segments without proposals.
        on_image: called after each picture with the number done; what it raises ends the call.

    Returns:
        segments of the same number, again in descending order of area, with the same proposals and without
        a hierarchy.

    Raises:
        InvalidSettingError: a reach out of range, or pictures that do not fit the segments.
    """
    if reach is not None and not 0 < reach <= 0.2:
        raise InvalidSettingError(
            f"Expected a reach above 0 and up to 0.2 (share of the picture's longer side), got {reach:g}."
        )
    labels, proposals = [], []
    for image, picture in enumerate(matching_pictures(pictures, segments)):
        before = segments.labels[image].cpu().numpy()
        pixels = _reach_in_pixels(segments, image, reach)
        after = torch.from_numpy(grow(_cores(before, pixels), smoothed(picture, GRAIN)) - 1).to(
            segments.labels.device
        )
        maps = (
            segments.proposals[image] if segments.proposals else after.new_zeros(segments.counts[image], 1, 1)
        )
        ordered, kept = order_by_area(after, maps)
        labels.append(ordered)
        proposals.append(kept)
        on_image(image + 1)
    return Segments(torch.stack(labels), tuple(proposals) if segments.proposals else ())


def soft_masks(segments: Segments, pictures: PictureLike, image: int = 0) -> torch.Tensor:
    """The probability with which every pixel of an image belongs to each segment.

    Masks are smoothed where the picture is smooth and stay sharp at its edges (guided filter: He, Sun and
    Tang, 2010), about one and a half tokens wide, and add up to 1 with the pixels of no segment.

    Args:
        segments: best refined ones.
        pictures: as of `refine`.
        image: index of the image.

    Returns:
        float32 ``[K, H, W]`` in 0..1, on the device of the segments.

    Raises:
        InvalidSettingError: no such image, or pictures that do not fit the segments.
    """
    labels = segments.labels_of(image)
    picture = matching_pictures(pictures, segments)[image].to(labels.device)
    radius = max(1, round(_reach_in_pixels(segments, image, None) / 2))
    guide = _Guide(picture.mean(-1), radius)
    count = segments.counts[image]
    masks = torch.zeros(count, *segments.image_size, device=labels.device)
    total = torch.zeros(tuple(segments.image_size), device=labels.device)
    for segment in range(-1, count):
        mask = labels == segment
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        if not len(rows):
            continue
        box = (_around(rows, 2 * radius, labels.shape[0]), _around(columns, 2 * radius, labels.shape[1]))
        soft = guide.filter(mask[box].float(), box).clamp_(0, 1)
        total[box] += soft
        if segment >= 0:
            masks[segment][box] = soft
    return masks.div_(total.clamp_min_(1e-6))


def _around(indices: torch.Tensor, margin: int, length: int) -> slice:
    return slice(max(0, int(indices[0]) - margin), min(length, int(indices[-1]) + 1 + margin))


def _reach_in_pixels(segments: Segments, image: int, reach: float | None) -> float:
    size = segments.image_size
    if reach is not None:
        return max(1.0, reach * max(size))
    if segments.proposals and len(segments.proposals[image]):
        grid = GridSize(*segments.proposals[image].shape[1:])
        return max(1.0, TOKENS * size.side / grid.side)
    return max(1.0, USUAL_REACH * max(size))


def _cores(labels: Labels, reach: float) -> Labels:
    """The pixels that keep their segment, as segment + 1 (0 for none), and −1 where others may grow."""
    from scipy import ndimage

    border = np.zeros(labels.shape, dtype=bool)  # the pixels on both sides of it
    for here, there in NEIGHBOURS[:2]:
        change = labels[here] != labels[there]
        border[here] |= change
        border[there] |= change
    if not border.any():
        return labels + 1
    distance = ndimage.distance_transform_edt(~border).astype(np.float32) + 1.0
    core = distance > reach
    steps = math.ceil(reach)
    window = 2 * steps + 1
    for number, box in enumerate(ndimage.find_objects(labels + 2)):
        if box is None:
            continue
        own = labels[box] == number - 1
        inner = core[box] & own
        # Thin parts: what no square of that size around the core reaches. Their middle is their core.
        thin = own & ~ndimage.maximum_filter(inner, window)
        parts, _ = ndimage.label(thin)
        long = np.bincount(parts.ravel()) >= LONG * reach**2
        pieces, _ = ndimage.label(own)
        has_core = np.bincount(pieces.ravel(), inner.ravel()) > 0
        kept = thin & (long[parts] | ~has_core[pieces])
        deepest = ndimage.maximum_filter(np.where(own, distance[box], 0.0), window)
        core[box] |= kept & (distance[box] >= np.maximum(0.6 * deepest, deepest - 1.0))
    return np.where(core, labels + 1, -1)


class _Guide:
    """The guided filter with the picture's brightness as its guide.

    Args:
        brightness: ``[H, W]`` in 0..1.
        radius: of its windows, in pixels.
    """

    def __init__(self, brightness: torch.Tensor, radius: int) -> None:
        self._brightness, self._radius = brightness, radius
        self._mean = self._average(brightness)
        self._variance = self._average(brightness**2) - self._mean**2

    def filter(self, mask: torch.Tensor, box: tuple[slice, slice]) -> torch.Tensor:
        """Filter a mask that is 0 outside the box by more than twice the radius."""
        brightness, mean = self._brightness[box], self._mean[box]
        share = self._average(mask)
        slope = (self._average(brightness * mask) - mean * share) / (self._variance[box] + SOFTNESS)
        return self._average(slope) * brightness + self._average(share - slope * mean)

    def _average(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over every window; windows end with the picture."""
        size = 2 * self._radius + 1
        down = F.avg_pool2d(values[None, None], (size, 1), 1, (self._radius, 0), count_include_pad=False)
        return F.avg_pool2d(down, (1, size), 1, (0, self._radius), count_include_pad=False)[0, 0]
