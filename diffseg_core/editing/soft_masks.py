"""Masks of probabilities, gradual where the image is smooth and sharp at its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from .. import progress
from ..image.bounds import Bounds, bounding_boxes
from ..image.smoothing import enlargement
from ..images import matching_images
from ..segments import Segments
from .edge_refinement import reach_in_pixels

if TYPE_CHECKING:
    from ..images import ImageLike

SOFTNESS = 1e-3  # variance of brightness below which the guided filter smooths


def soft_masks(
    segments: Segments,
    images: ImageLike,
    image_index: int = 0,
) -> torch.Tensor:
    """The probability with which every pixel of an image belongs to each segment.

    Masks are smoothed where the image is smooth and stay sharp at its edges (guided filter: He, Sun and
    Tang, 2010), about one and a half tokens wide, and add up to 1 with the pixels of no segment. In images
    much larger than 512×512 the filter's coefficients are those of a reduction (He and Sun, "Fast Guided
    Filter", 2015).

    Args:
        segments: best refined ones.
        images: as of `refine_edges`.
        image_index: index of the image.

    Returns:
        float32 ``[K, H, W]`` in 0..1, on the device of the segments.

    Raises:
        InvalidSettingError: no such image, or images that do not fit the segments.
    """
    labels, image_index = segments.labels_of(image_index), int(image_index)
    brightness = matching_images(images, segments)[image_index].to(labels.device).mean(-1)
    radius = max(1, round(reach_in_pixels(segments, image_index, None) / 2))
    guide = _Guide(brightness, radius, by=max(1, round(enlargement(segments.image_size))))
    progress.step()
    masks = torch.zeros(segments.counts[image_index], *segments.image_size, device=labels.device)
    total = torch.zeros(tuple(segments.image_size), device=labels.device)
    boxes = _boxes(labels, len(masks), guide.margin)
    for segment, box in boxes.items():
        progress.step()
        soft, box = guide.filter(labels, segment, box)
        total[box] += soft
        if segment >= 0:
            masks[segment][box] = soft
            boxes[segment] = box
    total.clamp_min_(1e-6)
    for segment, box in boxes.items():
        if segment >= 0:
            masks[segment][box] /= total[box]
    return masks


def _boxes(labels: torch.Tensor, count: int, margin: int) -> dict[int, Bounds]:
    """Where each segment is, and −1, with a margin: none for those that have no pixel."""
    height, width = labels.shape
    boxes = bounding_boxes(labels.cpu().numpy() + 1, count + 1)
    return {
        segment: (
            slice(max(0, rows.start - margin), min(height, rows.stop + margin)),
            slice(max(0, columns.start - margin), min(width, columns.stop + margin)),
        )
        for segment, (rows, columns) in enumerate(boxes, start=-1)
        if rows.stop
    }


class _Guide:
    """The guided filter with the image's brightness as its guide.

    Args:
        brightness: ``[H, W]`` in 0..1.
        radius: of its windows, in pixels.
        by: its coefficients are those of an image smaller by this whole number.

    Attributes:
        margin: how far a mask spreads at most, in pixels.
    """

    def __init__(self, brightness: torch.Tensor, radius: int, by: int) -> None:
        self._full, self._by = brightness, by
        self._radius = max(1, round(radius / by))
        self.margin = 3 * self._radius * by  # two averages, and the window of the second
        self._brightness = self._reduced(brightness)
        self._mean = self._average(self._brightness)
        self._variance = self._average(self._brightness**2) - self._mean**2

    def filter(self, labels: torch.Tensor, segment: int, box: Bounds) -> tuple[torch.Tensor, Bounds]:
        """Filter a segment's mask.

        Args:
            labels: ``[H, W]``.
            segment: which label.
            box: where it is, with the margin around it.

        Returns:
            the mask in 0..1, and its own box: the given one or a little more.
        """
        by = self._by
        rows, columns = (slice(side.start // by, -(-side.stop // by)) for side in box)
        part = (rows, columns)
        box = (
            slice(rows.start * by, min(labels.shape[0], rows.stop * by)),
            slice(columns.start * by, min(labels.shape[1], columns.stop * by)),
        )
        brightness, mean = self._brightness[part], self._mean[part]
        mask = self._reduced((labels[box] == segment).float())
        share = self._average(mask)
        slope = (self._average(brightness * mask) - mean * share) / (self._variance[part] + SOFTNESS)
        offset = self._average(share - slope * mean)
        slope = self._average(slope)
        soft = self._enlarged(slope, box) * self._full[box]
        return soft.add_(self._enlarged(offset, box)).clamp_(0, 1), box

    def _reduced(self, values: torch.Tensor) -> torch.Tensor:
        """The means of squares, of what there is of them at the ends."""
        if self._by == 1:
            return values
        return F.avg_pool2d(values[None, None], self._by, ceil_mode=True, count_include_pad=False)[0, 0]

    def _enlarged(self, values: torch.Tensor, box: Bounds) -> torch.Tensor:
        if self._by == 1:
            return values
        large = F.interpolate(values[None, None], scale_factor=self._by, mode="bilinear")[0, 0]
        return large[: box[0].stop - box[0].start, : box[1].stop - box[1].start]

    def _average(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over every window; windows end with the image."""
        size = 2 * self._radius + 1
        down = F.avg_pool2d(values[None, None], (size, 1), 1, (self._radius, 0), count_include_pad=False)
        return F.avg_pool2d(down, (1, size), 1, (0, self._radius), count_include_pad=False)[0, 0]
