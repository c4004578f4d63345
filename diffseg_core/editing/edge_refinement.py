"""Borders that follow the image: segments grow anew from their markers, over what is alike.

A segment's border is uncertain by about one token of the attention. What lies further inside is sure, and is
kept; they grow over the strip between, over small differences first (see `watershed`), so that
segments meet where the image changes most.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from .. import progress
from ..grid import GridSize
from ..image.bounds import bounding_boxes
from ..image.pyramid import reduced, sampled, sizes_up_to, upsample_labels
from ..image.smoothing import smoothed
from ..image.watershed import watershed
from ..images import matching_images
from ..merging.small_regions import connected_components
from ..segments import Segments
from ..settings import REACH

if TYPE_CHECKING:
    from ..images import ImageLike

TOKENS = 1.5  # reach where none is given
DEFAULT_REACH = 0.025  # share of the longer side, for segments that no attention stands behind
GRAIN = 1.5  # standard deviation in pixels of 512×512, under which changes of colour are no edges
LONG = 4.0  # pixels of a thin part that counts, in squares of the reach

NEIGHBOURS = ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1]))

Labels = npt.NDArray[np.int32]


def refine_edges(
    segments: Segments,
    images: ImageLike,
    reach: float | None = None,
) -> Segments:
    """Move every border to the strongest edge of the image within reach.

    Every connected piece of a segment keeps its core, the pixels further than ``reach`` from another segment;
    where it is thinner, its innermost line. So no segment and no thin part vanishes, and no specks arise:
    whatever a piece gains is connected with its core. Pixels of no segment are a piece like any other.

    Args:
        segments: of one or more images.
        images: theirs, as `as_images` takes them, at the segments' size; one serves all.
        reach: share of the image's longer side, 0..0.2, by which a border may move. None and 0 are one
            and a half tokens of the attention, or 0.025 for segments without proposals.

    Returns:
        segments of the same number and names, again in descending order of area, with the same proposals. A
        hierarchy goes on: pixels that change their segment go to the nearest leaf of the new one, so every
        coarser cut has the new borders too.

    Raises:
        InvalidSettingError: a reach out of range, or images that do not fit the segments.
    """
    reach = None if reach is None else REACH.checked(reach) or None
    labels, leaves = [], []
    for image_index, image in enumerate(matching_images(images, segments)):
        pixels = reach_in_pixels(segments, image_index, reach)
        before = segments.labels[image_index].cpu().numpy()
        refined = _refined(before, image, pixels)
        if segments.hierarchies:
            of_tree = segments.hierarchies[image_index].leaves
            moved = _moved_leaves(of_tree.cpu().numpy(), before, refined)
            leaves.append(torch.from_numpy(moved).to(of_tree.device))
        labels.append(torch.from_numpy(refined).to(segments.labels.device))
        progress.image_done(image_index + 1)
    return segments.repainted(labels, leaves)


def _moved_leaves(leaves: Labels, before: Labels, after: Labels) -> Labels:
    """The leaves of one image, with pixels that changed their segment in the nearest leaf of the new one.

    Args:
        leaves: ``[H, W]``, −1 for none.
        before, after: ``[H, W]``, segments of the same numbers.
    """
    from scipy import ndimage

    moved = before != after
    out = np.where(after < 0, np.int32(-1), leaves)
    for number, box in enumerate(bounding_boxes(after, int(after.max()) + 1)):
        here = after[box] == number
        gained, own = here & moved[box], here & ~moved[box]
        if not gained.any():
            continue
        if own.any():
            nearest = ndimage.distance_transform_edt(~own, return_distances=False, return_indices=True)
            out[box][gained] = leaves[box][tuple(nearest[:, gained])]
        else:
            out[box][gained] = leaves[before == number].min()
    return out


def _refined(labels: Labels, image: torch.Tensor, reach: float) -> Labels:
    """Refine the segments of one image; images above 512×512 on a reduction of them first."""
    full = GridSize(*labels.shape)
    first = sizes_up_to(full)[0]
    small = sampled(labels, first)
    progress.step()
    markers = _markers(small, max(1.0, reach * first.side / full.side))
    progress.step()
    pieces = watershed(markers, smoothed(reduced(image, first), GRAIN))
    pieces = upsample_labels(pieces, image, GRAIN)
    pieces -= 1
    return pieces if first == full else _with_what_vanished(pieces, labels)


def _with_what_vanished(refined: Labels, labels: Labels) -> Labels:
    """Give connected pieces back that lost all of their pixels, since a reduction had none of them."""
    pieces = connected_components(labels)
    kept = np.zeros(int(pieces.max()) + 1, dtype=bool)
    kept[pieces[refined == labels]] = True
    return refined if kept.all() else np.where(kept[pieces], refined, labels)


def reach_in_pixels(segments: Segments, image_index: int, reach: float | None) -> float:
    """By how many pixels a border may move: see `refine_edges`."""
    size = segments.image_size
    if reach is not None:
        return max(1.0, reach * max(size))
    if segments.proposals and len(segments.proposals[image_index]):
        grid = GridSize(*segments.proposals[image_index].shape[1:])
        return max(1.0, TOKENS * size.side / grid.side)
    return max(1.0, DEFAULT_REACH * max(size))


def _markers(labels: Labels, reach: float) -> Labels:
    """The pixels that keep their segment, as segment + 1 (0 for none), and −1 where others may grow."""
    from scipy import ndimage

    border = np.zeros(labels.shape, dtype=bool)  # the pixels on both sides of it
    for here, there in NEIGHBOURS:
        change = labels[here] != labels[there]
        border[here] |= change
        border[there] |= change
    if not border.any():
        return labels + 1
    distance = ndimage.distance_transform_edt(~border).astype(np.float32) + 1.0
    core = distance > reach
    steps = math.ceil(reach)
    window = 2 * steps + 1
    for number, box in enumerate(bounding_boxes(labels + 1, int(labels.max()) + 2)):
        own = labels[box] == number - 1
        if not own.any():
            continue
        inner = core[box] & own
        # Thin parts: what no square of that size around the core reaches. Their middle is their core.
        thin = own & ~ndimage.maximum_filter(inner, window)
        parts, _ = ndimage.label(thin)
        long = np.bincount(parts.ravel()) >= LONG * reach**2
        pieces, _ = ndimage.label(own)
        has_core = np.bincount(pieces.ravel(), inner.ravel()) > 0
        kept = thin & (long[parts] | ~has_core[pieces])
        deepest = ndimage.maximum_filter(np.where(own, distance[box], 0.0), window)
        # The ridge of a thin part: within a pixel of the deepest place near; where that is shallow, less.
        core[box] |= kept & (distance[box] >= np.maximum(0.6 * deepest, deepest - 1.0))
    return np.where(core, labels + 1, -1)
