"""The methods, each at one setting.

DiffSeg itself, trees, cuts and k-means on the attention of one captured step; and what needs no network,
which any learned method must beat to be worth running.

``diffcut`` is the method of Couairon et al. ("DiffCut", NeurIPS 2024) with the settings of its code:
affinities to the power 10, and each pixel with the part whose concept is nearest. It is without PAMR, a step
after it with which its figures were published. The model and its features are those of the capture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab
from skimage.segmentation import felzenszwalb, slic

from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import NestedSettings, SegmentSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.benchmark.colours import colour_tree
from diffseg_core.diffcut.segment_cut import segment_cut
from diffseg_core.grid import GridSize
from diffseg_core.images import as_images
from diffseg_core.merging.kmeans import kmeans
from diffseg_core.merging.suppression import suppress
from diffseg_core.segments import Segments
from diffseg_core.settings import CUT_POWER, Borders, Evidence
from diffseg_core.words.lines import WordAttention, WordLine
from diffseg_core.words.token_places import TooManyWordsError

from .types import VOID, AnnotatedImage

Labels = npt.NDArray[Any]
"""Segment numbers from 0 up, integers ``[H, W]`` of the image's size."""
Segmentation = Callable[[AnnotatedImage], Labels]
"""A method at one setting. The annotations are for methods that are given something of the truth."""
ClusterCount = Callable[[AnnotatedImage], int]
"""How many clusters an image gets."""
Clustering = Callable[[AnnotatedImage, AttentionMaps, int], torch.Tensor]
"""From a number of clusters K to proposals, float32 ``[≤ K, h, w]`` on a grid of the attention."""


class SharedCapture:
    """The attention of the image at hand, captured once for all methods that use it.

    Args:
        segmenter: the model.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._image: AnnotatedImage | None = None
        self._maps: AttentionMaps | None = None
        self._refused: dict[tuple[WordLine, ...], TooManyWordsError] = {}

    def of(self, image: AnnotatedImage) -> AttentionMaps:
        """The attention of this image; the one before is given up."""
        if self._maps is None or image is not self._image:
            self._maps = None  # its memory is free before the next is made
            self._maps = self._segmenter.capture(image.pixels)
            self._image = image
        return self._maps

    def read(self, image: AnnotatedImage, lines: Sequence[WordLine]) -> WordAttention:
        """What this image's places attend to in words.

        Raises:
            TooManyWordsError: more words than the model takes at once.
        """
        if tuple(lines) in self._refused:  # the same list for every image: its tokenizer would warn each time
            raise self._refused[tuple(lines)]
        try:
            return self._segmenter.read_words(self.of(image), lines)
        except TooManyWordsError as error:
            self._refused[tuple(lines)] = error.with_traceback(None)  # which would keep the tensors
            raise


def by_settings(capture: SharedCapture, settings: SegmentSettings) -> Segmentation:
    """DiffSeg, or the hierarchy's cut, as one sets them."""
    return lambda image: _labels(segment_maps(capture.of(image), image.pixels, settings))


def by_hierarchy(
    capture: SharedCapture, evidence: Evidence, tree: NestedSettings, number: float, refine: bool = False
) -> Segmentation:
    """A cut of the hierarchy.

    Args:
        capture: of the model; with features, where they are evidence.
        evidence: what tells segments apart, whatever is best for the model, so that rows compare.
        tree: how it is built.
        number: of segments; 0 for the tree's own choice.
        refine: whether borders are moved to the image's edges.
    """
    settings = SegmentSettings(replace(tree, number=int(number) or None), refine)
    return lambda image: _labels(segment_maps(capture.of(image), image.pixels, settings, evidence=evidence))


def by_cut(capture: SharedCapture, borders: Borders, threshold: float) -> Segmentation:
    """The recursive normalised cut of features."""
    return lambda image: _labels(
        segment_cut(capture.of(image), as_images(image.pixels), threshold, CUT_POWER.default, borders)
    )


def by_clusters(capture: SharedCapture, clustering: Clustering, count: ClusterCount) -> Segmentation:
    """K-means on the attention's grid, in place of anchors and merging."""

    def segmentation(image: AnnotatedImage) -> Labels:
        proposals = clustering(image, capture.of(image), count(image))
        size = GridSize(image.pixels.height, image.pixels.width)
        return np.asarray(suppress(proposals, size).cpu().numpy())

    return segmentation


def attention_clusters(image: AnnotatedImage, maps: AttentionMaps, clusters: int) -> torch.Tensor:
    """K-means over the rows of the aggregated attention (paper, section 4: K-Means-C and K-Means-S).

    The clusters' mean maps are the proposals, as in the authors' code where k-means refines DiffSeg's own.
    """
    attention = maps.aggregate()[0]  # [n, keys]
    return kmeans(attention, kmeans_plus_plus(attention, clusters)).view(-1, *maps.key_grid)


def colour_clusters(image: AnnotatedImage, maps: AttentionMaps, clusters: int) -> torch.Tensor:
    """K-means over the mean CIELAB colour of every cell of the same grid: what is there without the model.

    The proposals are the clusters' cells, 1 inside and 0 outside: upsampled as the attention's are.
    """
    lab = torch.from_numpy(rgb2lab(np.array(image.pixels))).float().permute(2, 0, 1)  # [3, H, W]
    colours = F.interpolate(lab[None], size=tuple(maps.grid), mode="area")[0].flatten(1).T.contiguous()
    centres = kmeans(colours, kmeans_plus_plus(colours, clusters))  # [K, 3]
    nearest = torch.cdist(colours, centres).argmin(1)
    return F.one_hot(nearest, len(centres)).T.float().reshape(-1, *maps.grid)


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


def regular_grid(side: int) -> Segmentation:
    """``side`` by ``side`` rectangles of equal size, numbered row by row; the whole image for 1."""

    def segmentation(image: AnnotatedImage) -> Labels:
        rows = np.arange(image.pixels.height) * side // image.pixels.height
        columns = np.arange(image.pixels.width) * side // image.pixels.width
        return np.asarray(rows[:, None] * side + columns[None, :])

    return segmentation


def slic_superpixels(segments: int) -> Segmentation:
    """SLIC (Achanta et al., 2012): k-means over colour and place, about ``segments`` connected regions."""
    return lambda image: np.asarray(
        slic(np.array(image.pixels), n_segments=segments, compactness=10.0, start_label=0)
    )


def felzenszwalb_regions(scale: float, sigma: float = 0.8, min_size: int = 200) -> Segmentation:
    """Felzenszwalb and Huttenlocher's graph segmentation (2004); a larger ``scale`` gives larger regions."""
    return lambda image: np.asarray(
        felzenszwalb(np.array(image.pixels), scale=scale, sigma=sigma, min_size=min_size)
    )


def colour_hierarchy(number: int) -> Segmentation:
    """The tree of `segment_hierarchy` without attention: the same superpixels and contrasts, colours alone.

    What this reaches is not the model's merit.

    Args:
        number: of segments; 0 for the tree's own choice.
    """

    def segmentation(image: AnnotatedImage) -> Labels:
        tree = colour_tree(as_images(np.array(image.pixels)).colours[0])
        labels, _ = tree.cut(number or tree.automatic_number())
        return np.asarray(labels.numpy())

    return segmentation


def _labels(segments: Segments) -> Labels:
    return np.asarray(segments.labels[0].cpu().numpy())
