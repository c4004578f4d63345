"""The methods, each at one setting.

DiffSeg itself, trees, cuts, k-means and objects by prompts on the attention of one captured step; and what
needs no network, which any learned method must beat to be worth running.

``diffcut`` is the method of Couairon et al. ("DiffCut", NeurIPS 2024) with the settings of its code:
affinities to the power 10, and each pixel with the part whose concept is nearest. It is without PAMR, a step
after it with which its figures were published. The model and its features are those of the capture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab
from skimage.segmentation import felzenszwalb, slic

from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import NestedSettings, SegmentSettings, WordSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.benchmark.clicks import Bitmap
from diffseg_core.diffcut.segment_cut import segment_cut
from diffseg_core.grid import GridSize
from diffseg_core.hierarchy.segment_hierarchy import colour_tree, segment_hierarchy
from diffseg_core.images import as_images
from diffseg_core.merging.merge import kmeans
from diffseg_core.merging.segment import suppress
from diffseg_core.objects.object_finder import ObjectFinder
from diffseg_core.objects.prompts import Box, Prompt
from diffseg_core.segments import Segments
from diffseg_core.settings import CUT_POWER, Borders, Evidence
from diffseg_core.tree import Hierarchy
from diffseg_core.words.lines import WordLine

from .types import VOID, AnnotatedImage, Finder

Labels = npt.NDArray[Any]
"""Segment numbers from 0 up, integers ``[H, W]`` of the image's size."""
DEFAULT_CLUSTERS = 6  # about as many classes as an image of COCO-Stuff-27 shows


@dataclass(eq=False)
class Context:
    """What methods are given: settings, and one capture of the image at hand for all of them.

    Attributes:
        segmenter: the model; None where no method needs one.
        segment: DiffSeg's settings.
        dataset, words: whose classes' names methods by words look for, and their settings.
        too_long: lists of words that the model has refused as too many.
    """

    segmenter: Segmenter | None
    segment: SegmentSettings
    dataset: str = ""
    words: WordSettings = field(default_factory=WordSettings)
    too_long: set[tuple[WordLine, ...]] = field(default_factory=set)
    _captured: tuple[AnnotatedImage, AttentionMaps] | None = None

    @property
    def tree(self) -> NestedSettings:
        """How a tree is built: as for DiffSeg where it is cut from one too, else the defaults."""
        tree = self.segment.method if isinstance(self.segment.method, NestedSettings) else NestedSettings()
        return replace(tree, number=None, height=None)

    def maps(self, image: AnnotatedImage) -> AttentionMaps:
        """The attention of this image; that of the one before is let go."""
        if self._captured is None or image is not self._captured[0]:
            assert self.segmenter is not None
            self._captured = None  # its memory is free before the next is made
            self._captured = image, self.segmenter.capture(image.pixels)
        return self._captured[1]


def merged(run: Context, image: AnnotatedImage, refine: bool = False) -> Labels:
    """DiffSeg, or the hierarchy's cut, as one sets them."""
    settings = replace(run.segment, refine_edges=refine)
    return _labels(segment_maps(run.maps(image), image.pixels, settings))


def nested(
    run: Context, image: AnnotatedImage, number: float, evidence: Evidence = "attention", refine: bool = False
) -> Labels:
    """A cut of the hierarchy.

    Args:
        run: whose model gives features, where they are evidence.
        image: to be segmented.
        number: of segments; 0 for the tree's own choice.
        evidence: what tells segments apart, whatever is best for the model, so that rows compare.
        refine: whether borders are moved to the image's edges.
    """
    settings = SegmentSettings(replace(run.tree, number=int(number) or None), refine)
    return _labels(segment_maps(run.maps(image), image.pixels, settings, evidence=evidence))


def cut(run: Context, image: AnnotatedImage, threshold: float, borders: Borders) -> Labels:
    """The recursive normalised cut of features."""
    images = as_images(image.pixels)
    return _labels(segment_cut(run.maps(image), images, threshold, CUT_POWER.default, borders))


def attention_kmeans(run: Context, image: AnnotatedImage, clusters: float) -> Labels:
    """K-means on the attention's grid, in place of anchors and merging; 0 for the true number of clusters."""
    maps = run.maps(image)
    return _suppressed(attention_clusters(maps, int(clusters) or true_count(image)), image)


def colour_kmeans(run: Context, image: AnnotatedImage, clusters: float) -> Labels:
    """The same on colours."""
    grid = run.maps(image).grid
    return _suppressed(colour_clusters(image, grid, int(clusters) or true_count(image)), image)


def attention_clusters(maps: AttentionMaps, clusters: int) -> torch.Tensor:
    """K-means over the rows of the aggregated attention (paper, section 4: K-Means-C and K-Means-S).

    The clusters' mean maps are the proposals, as in the authors' code where k-means refines DiffSeg's own.
    """
    attention = maps.aggregate()[0]  # [n, keys]
    return kmeans(attention, kmeans_plus_plus(attention, clusters)).view(-1, *maps.key_grid)


def colour_clusters(image: AnnotatedImage, grid: GridSize, clusters: int) -> torch.Tensor:
    """K-means over the mean CIELAB colour of every cell of the same grid: what is there without the model.

    The proposals are the clusters' cells, 1 inside and 0 outside: upsampled as the attention's are.
    """
    lab = torch.from_numpy(rgb2lab(np.array(image.pixels))).float().permute(2, 0, 1)  # [3, H, W]
    colours = F.interpolate(lab[None], size=tuple(grid), mode="area")[0].flatten(1).T.contiguous()
    centres = kmeans(colours, kmeans_plus_plus(colours, clusters))  # [K, 3]
    nearest = torch.cdist(colours, centres).argmin(1)
    return F.one_hot(nearest, len(centres)).T.float().reshape(-1, *grid)


def true_count(image: AnnotatedImage) -> int:
    """How many classes a person sees in the image; without classes, segments (mean over the people)."""
    maps = image.segments if image.classes is None else (image.classes,)
    counts = [np.unique(labels[labels != VOID]).size for labels in maps]
    return max(1, round(float(np.mean(counts))))


def kmeans_plus_plus(features: torch.Tensor, clusters: int) -> torch.Tensor:
    """Greedy k-means++ (Arthur and Vassilvitskii, 2007), as scikit-learn's ``KMeans`` starts; deterministic.

    Each next centre is the best of 2 + ln K features drawn with probability proportional to the squared
    distance to the nearest centre so far.

    Args:
        features: float32 ``[n, d]``.
        clusters: K ≥ 1.

    Returns:
        float32 ``[K, d]``, rows of the features; fewer where fewer are different.
    """

    def distances(index: int) -> npt.NDArray[np.float64]:
        squares: npt.NDArray[np.float64] = (features - features[index]).square().sum(1).double().cpu().numpy()
        return squares

    random = np.random.default_rng(0)
    candidates = 2 + int(math.log(clusters))
    chosen = [int(random.integers(len(features)))]
    nearest = distances(chosen[0])  # [n]
    while len(chosen) < min(clusters, len(features)) and nearest.max() > 0:
        drawn = random.choice(len(features), size=candidates, p=nearest / nearest.sum())
        reached = [np.minimum(nearest, distances(index)) for index in drawn]
        best = int(np.argmin([left.sum() for left in reached]))
        chosen.append(int(drawn[best]))
        nearest = reached[best]
    return features[chosen]


def regular_grid(run: Context, image: AnnotatedImage, side: float) -> Labels:
    """``side`` by ``side`` rectangles of equal size, numbered row by row; the whole image for 1."""
    across = int(side)
    rows = np.arange(image.pixels.height) * across // image.pixels.height
    columns = np.arange(image.pixels.width) * across // image.pixels.width
    return np.asarray(rows[:, None] * across + columns[None, :])


def slic_superpixels(run: Context, image: AnnotatedImage, segments: float) -> Labels:
    """SLIC (Achanta et al., 2012): k-means over colour and place, about ``segments`` connected regions."""
    pixels = np.array(image.pixels)
    return np.asarray(slic(pixels, n_segments=int(segments), compactness=10.0, start_label=0))


def felzenszwalb_regions(run: Context, image: AnnotatedImage, scale: float) -> Labels:
    """Felzenszwalb and Huttenlocher's graph segmentation (2004); a larger ``scale`` gives larger regions."""
    return np.asarray(felzenszwalb(np.array(image.pixels), scale=scale, sigma=0.8, min_size=200))


def colour_hierarchy(run: Context, image: AnnotatedImage, number: float) -> Labels:
    """The tree of `segment_hierarchy` without attention; 0 for its own choice of the number of segments.

    What this reaches is not the model's merit.
    """
    tree = colour_tree(as_images(np.array(image.pixels)).colours[0])
    labels, _ = tree.cut(int(number) or tree.automatic_number())
    return np.asarray(labels.numpy())


def by_attention(run: Context, image: AnnotatedImage) -> Finder:
    """Objects by prompts, as the picker and DiffSeg Select find them."""
    images = as_images(image.pixels)
    tree = segment_hierarchy(run.maps(image), images).hierarchies[0]
    return _finder(tree, images.colours[0], attention=True)


def by_colours(run: Context, image: AnnotatedImage) -> Finder:
    """The same on colours alone, the tree included."""
    pixels = as_images(image.pixels).colours[0]
    return _finder(colour_tree(pixels), pixels, attention=False)


def the_box_itself(run: Context, image: AnnotatedImage) -> Finder:
    """All that lies in the last box."""

    def find(prompts: Sequence[Prompt]) -> Bitmap:
        box = prompts[-1]
        assert isinstance(box, Box)
        mask = np.zeros((image.pixels.height, image.pixels.width), dtype=bool)
        mask[box.y1 : box.y2, box.x1 : box.x2] = True
        return mask

    return find


def _finder(tree: Hierarchy, pixels: torch.Tensor, attention: bool) -> Finder:
    finder = ObjectFinder(tree, pixels, attention)
    return lambda prompts: finder.find(prompts).mask


def _labels(segments: Segments) -> Labels:
    return np.asarray(segments.labels[0].cpu().numpy())


def _suppressed(proposals: torch.Tensor, image: AnnotatedImage) -> Labels:
    """The strongest proposal at each pixel."""
    size = GridSize(image.pixels.height, image.pixels.width)
    return np.asarray(suppress(proposals, size).cpu().numpy())
