"""From attention maps and images to nested segments: one tree for each image, cut where it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from .. import progress
from ..attention.features import feature_maps, features_of
from ..attention.maps import AttentionMaps
from ..errors import InvalidSettingError
from ..image.boundary_contrast import Contrast
from ..image.colour_histograms import colour_histograms
from ..image.smoothing import smoothed
from ..image.superpixels import superpixels
from ..images import as_images, check_images
from ..segments import Segments
from ..settings import COLOUR, CONTRAST, EVIDENCE, FINEST, HEIGHT, NEIGHBOURS_ONLY, NUMBER, Evidence
from ..tree import Hierarchy
from .tree_building import build_hierarchy, mean_maps

if TYPE_CHECKING:
    from ..images import ImageLike


def segment_hierarchy(
    maps: AttentionMaps,
    images: ImageLike,
    number: int | None = None,
    height: float | None = None,
    neighbours_only: bool = NEIGHBOURS_ONLY.default,
    contrast: float = CONTRAST.default,
    colour: float = COLOUR.default,
    finest: float = FINEST.default,
    evidence: Evidence = EVIDENCE.default,
    leaves: Sequence[torch.Tensor] | None = None,
) -> Segments:
    """Build a tree of segments for every image, and cut it.

    Superpixels of the image are the leaves; the segments whose mean attention maps are closest join, see
    `tree_building`. Borders follow the image at its full resolution.

    Args:
        maps: the captured attention.
        images: those of the capture at the size of the label maps, as `as_images` takes them; alpha is
            left out.
        number: of segments, ≥ 1; in an image that has fewer superpixels, all of them.
        height: cut where segments differ by more than this, in nats. With neither ``number`` nor ``height``
            each tree says itself, see `Hierarchy.automatic_number`.
        neighbours_only: whether only segments with a common border join; otherwise one segment may lie in
            several places.
        contrast: how much a border's contrast in the image counts, 0..2: divergences are multiplied by
            its share of the usual contrast, to this power. With 0 attention alone decides. Without
            ``neighbours_only`` it does not count.
        colour: how much a difference in colours counts beside that of attention, 0..10: with 1 as much, by
            the median over the superpixels that may join.
        finest: share of the image, above 0 to 0.1, that a superpixel has at least.
        evidence: what says how alike segments are: the attention; the features, by the affinity of DiffCut
            (see `feature_maps`); both, by the mean of the two; or automatic, which takes what is better
            known to work in the model that was captured (`AttentionMaps.evidence`).
        leaves: `superpixels` of each image, where they are known already: for several trees of one image.

    Returns:
        the segments, with `Segments.hierarchies`, on the device of the maps.

    Raises:
        InvalidSettingError: a setting outside its range, images that do not fit the maps, or features asked
            for that were not captured.

    Example:
        >>> import torch
        >>> attention = torch.full((1, 16, 16), 0.01)
        >>> attention[:, :8, :8] += 0.105
        >>> attention[:, 8:, 8:] += 0.105
        >>> image = torch.linspace(0, 1, 4)[:, None, None].expand(1, 4, 4, 3)
        >>> segment_hierarchy(AttentionMaps({(4, 4): attention}), image, number=2).labels[0, :, 0].tolist()
        [0, 0, 1, 1]
    """
    if number is not None and height is not None:
        raise InvalidSettingError(
            f"Expected a number of segments or a height to cut at, got both ({number}, {height})."
        )
    number = None if number is None else NUMBER.checked(number)
    height = None if height is None else HEIGHT.checked(height)
    neighbours_only = NEIGHBOURS_ONLY.checked(neighbours_only)
    contrast, colour, finest = CONTRAST.checked(contrast), COLOUR.checked(colour), FINEST.checked(finest)
    chosen = chosen_evidence(evidence, maps)
    checked = as_images(images)
    matching = check_images(checked, maps.batch_size, checked.size, "attention")
    trees: list[Hierarchy] = []
    for index, image in enumerate(matching):
        smooth = smoothed(image)
        pieces = superpixels(image, finest, smooth) if leaves is None else leaves[index]
        borders = Contrast(smooth, pieces, contrast) if neighbours_only else None
        progress.step()
        colours = colour_histograms(smooth, pieces) if colour else None
        progress.step()
        leaf_maps = _leaf_maps(maps, index, chosen, pieces)
        trees.append(build_hierarchy(leaf_maps, pieces, borders, colours, colour))
        progress.image_done(len(trees))
    if height is not None:
        return Segments.of_hierarchies(trees, [tree.number_at(height) for tree in trees])
    return Segments.of_hierarchies(trees, [number or tree.automatic_number() for tree in trees])


def colour_tree(image: torch.Tensor) -> Hierarchy:
    """The tree of `segment_hierarchy` with the same superpixels and contrasts, but colours for attention.

    The control: what this reaches is not the model's merit. The tree's maps are the superpixels' colour
    histograms.

    Args:
        image: float32 ``[H, W, 3]`` in 0..1, in system memory.
    """
    smooth = smoothed(image)
    leaves = superpixels(image, FINEST.default, smooth)
    progress.step()
    histograms = colour_histograms(smooth, leaves)
    contrast = Contrast(smooth, leaves, CONTRAST.default)
    return build_hierarchy(histograms[:, None], leaves, contrast)


def chosen_evidence(evidence: str, maps: AttentionMaps) -> str:
    """What automatic stands for; any other choice as it is, once it is found possible.

    Raises:
        InvalidSettingError: an unknown choice, or features that were not captured.
    """
    chosen = maps.evidence if EVIDENCE.checked(evidence) == "automatic" else evidence
    if chosen != "attention":
        features_of(maps)
    return chosen


def _leaf_maps(maps: AttentionMaps, index: int, evidence: str, leaves: torch.Tensor) -> torch.Tensor:
    """What stands for each leaf of an image: float32 ``[S, h, w]``, each summing to 1."""
    count = int(leaves.max()) + 1
    if evidence != "attention":
        features = features_of(maps)[index]
        of_features = feature_maps(features, leaves, count).view(count, *features.shape[1:])
        if evidence == "features":
            return of_features
    means = mean_maps(maps.aggregate()[index], maps.grid, leaves, count)
    of_attention = means.view(count, *maps.key_grid)
    if evidence == "attention":
        return of_attention
    resized = F.interpolate(of_features[:, None], tuple(maps.key_grid), mode="bilinear")[:, 0]
    return (of_attention + resized / resized.sum((1, 2), keepdim=True)) / 2.0
