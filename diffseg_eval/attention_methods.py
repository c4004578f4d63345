"""Methods on the attention of one captured step: DiffSeg itself, and simpler uses of the same attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab

from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import SegmentSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.grid import GridSize
from diffseg_core.merging.kmeans import kmeans
from diffseg_core.merging.suppression import suppress
from diffseg_core.words.lines import WordAttention, WordLine
from diffseg_core.words.token_places import TooManyWordsError

from .kmeans_plus_plus import kmeans_plus_plus
from .types import VOID, AnnotatedImage

DEFAULT_CLUSTERS = 6
"""What ``kmeans`` uses when no number is given: about as many classes as an image of COCO-Stuff-27 shows."""

Labels = npt.NDArray[np.int32]
"""Segment numbers from 0 up, ``[H, W]``."""
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


@dataclass(frozen=True)
class DiffSegMethod:
    """DiffSeg at one or more settings: one capture, many segmentations.

    Attributes:
        name: of its row.
        capture: shared with other methods.
        settings: by the name under which each is recorded.
    """

    name: str
    capture: SharedCapture
    settings: Mapping[str, SegmentSettings]

    def segment(self, image: AnnotatedImage) -> dict[str, Labels]:
        """The image's labels at every setting."""
        maps = self.capture.of(image)
        return {
            setting: segment_maps(maps, image.pixels, chosen).labels[0].cpu().numpy()
            for setting, chosen in self.settings.items()
        }


@dataclass(frozen=True)
class ClusterMethod:
    """K-means on the attention's grid, in place of anchors and merging.

    Attributes:
        name: of its row.
        capture: shared with other methods.
        clustering: `attention_clusters` or `colour_clusters`.
        counts: how many clusters, by the name of the setting.
    """

    name: str
    capture: SharedCapture
    clustering: Clustering
    counts: Mapping[str, ClusterCount]

    def segment(self, image: AnnotatedImage) -> dict[str, Labels]:
        """The image's labels at every setting."""
        maps = self.capture.of(image)
        labels = {}
        for setting, count in self.counts.items():
            proposals = self.clustering(image, maps, count(image))
            labels[setting] = suppress(proposals, _size(image)).cpu().numpy()
        return labels


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


def constant(clusters: int) -> ClusterCount:
    """The same number for every image."""
    return lambda image: clusters


def true_count(image: AnnotatedImage) -> int:
    """How many classes a person sees in the image; without classes, segments (mean over the people)."""
    maps = image.segments if image.classes is None else (image.classes,)
    counts = [np.unique(labels[labels != VOID]).size for labels in maps]
    return max(1, round(float(np.mean(counts))))


def _size(image: AnnotatedImage) -> GridSize:
    return GridSize(image.pixels.height, image.pixels.width)
