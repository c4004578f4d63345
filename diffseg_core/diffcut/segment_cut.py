"""From features and images to segments by recursive normalised cuts (DiffCut, NeurIPS 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from .. import progress
from ..attention.features import bands, directions, features_of, likeness, mean_over_leaves
from ..attention.maps import AttentionMaps
from ..grid import GridSize
from ..image.superpixels import superpixels
from ..images import as_images, check_images
from ..segments import Segments
from ..settings import CUT_BORDERS, CUT_POWER, CUT_THRESHOLD, FINEST, Borders
from ..tree import Hierarchy
from .normalised_cut import CutTree, recursive_cut

if TYPE_CHECKING:
    from ..images import ImageLike


def segment_cut(
    maps: AttentionMaps,
    images: ImageLike,
    threshold: float = CUT_THRESHOLD.default,
    power: float = CUT_POWER.default,
    borders: Borders = CUT_BORDERS.default,
    leaves: Sequence[torch.Tensor] | None = None,
) -> Segments:
    """Cut the features of every image into parts, and give each pixel to one of them.

    The tokens of the features are cut as DiffCut cuts them, see `recursive_cut`. A part's concept is the
    mean of its features. A pixel, or with ``borders="image edges"`` a superpixel, belongs to the part whose
    concept is most like its own features, which are enlarged bilinearly: first among the parts of
    ``threshold``, then among the finer ones within. So the segments at the threshold are DiffCut's, and all
    others nest with them.

    Args:
        maps: the captured attention, with features.
        images: those of the capture at the size of the label maps, as `as_images` takes them; alpha is left
            out.
        threshold: 0..0.9: a part is cut in two where the normalised cut costs less. DiffCut's is 0.5; higher
            ones give more segments.
        power: 0.5..50, to which affinities are taken; DiffCut's is 10.
        borders: "image edges" has segments consist of superpixels of the image; "features" takes every pixel
            by itself, as in the paper.
        leaves: `superpixels` of each image, where they are known already.

    Returns:
        the segments, with `Segments.hierarchies`, on the device of the maps. A join's height is 1 − the
        greatest cost of the cuts that it takes back.

    Raises:
        InvalidSettingError: a setting outside its range, no features, or images that do not fit the maps.
    """
    threshold, power = CUT_THRESHOLD.checked(threshold), CUT_POWER.checked(power)
    borders = CUT_BORDERS.checked(borders)
    checked = as_images(images)
    matching = check_images(checked, maps.batch_size, checked.size, "attention")
    trees = []
    for index, (features, image) in enumerate(zip(features_of(maps), matching, strict=True)):
        tokens = directions(features)
        cut = recursive_cut(tokens, power=power, threshold=threshold)
        progress.step()
        pieces = None
        if borders == "image edges":
            pieces = superpixels(image, FINEST.default) if leaves is None else leaves[index]
        trees.append(_hierarchy(cut, threshold, tokens, power, features, pieces, checked.size))
        progress.image_done(len(trees))
    return Segments.of_hierarchies(trees, [tree.number_at(1.0 - threshold) for tree in trees])


def _hierarchy(
    cut: CutTree,
    threshold: float,
    tokens: torch.Tensor,
    power: float,
    features: torch.Tensor,
    leaves: torch.Tensor | None,
    size: GridSize,
) -> Hierarchy:
    """The tree of parts, over pixels."""
    device, grid = tokens.device, GridSize(*features.shape[1:])
    at_threshold = cut.at(threshold)
    finest, coarse = torch.from_numpy(cut.parts).to(device), torch.from_numpy(at_threshold).to(device)
    fine_concepts = _concepts(tokens, finest, cut.count)
    coarse_concepts = _concepts(tokens, coarse, int(at_threshold.max()) + 1)
    parents = torch.zeros(len(fine_concepts), dtype=torch.long, device=device)
    parents[finest] = coarse  # of each finest part, the part of the threshold that holds it
    scores = torch.cat((tokens @ coarse_concepts.T, tokens @ fine_concepts.T), dim=1)  # [n, K + S]
    if leaves is None:
        part_of_pixel = torch.cat([_best(band, parents) for _, band in bands(scores, grid, size)]).view(size)
    else:
        means = mean_over_leaves(scores, grid, leaves, int(leaves.max()) + 1)
        part_of_pixel = _best(means, parents)[leaves.to(device).long()]
    maps = likeness(fine_concepts, tokens, power).view(-1, *grid)
    everywhere = Hierarchy(
        finest.view(grid), torch.from_numpy(cut.joins), torch.from_numpy(cut.heights), maps
    )
    return everywhere.restrict(part_of_pixel.int())  # parts that got no pixel fall away


def _concepts(tokens: torch.Tensor, parts: torch.Tensor, count: int) -> torch.Tensor:
    """The direction of each part's mean: float32 ``[count, C]``."""
    sums = tokens.new_zeros(count, tokens.shape[1]).index_add_(0, parts, tokens)
    return F.normalize(sums, dim=1)


def _best(scores: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
    """The most like finest part, among those within the most like part: int64 ``[rows]``.

    The length of what a pixel's features add up to is the same for all of its scores: cosines need no more.
    """
    fine = len(parents)
    coarse = scores[:, :-fine].argmax(1)
    outside = parents[None] != coarse[:, None]
    return scores[:, -fine:].masked_fill(outside, -torch.inf).argmax(1)
