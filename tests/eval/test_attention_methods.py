"""Methods on captured attention, with attention made by hand and with the demo model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from diffseg_cli.batch.models import demo_model_folder
from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import (
    DEMO_SEGMENT,
    CaptureSettings,
    MergeSettings,
    ModelChoice,
    NestedSettings,
    SegmentSettings,
)
from diffseg_core import AttentionMaps
from diffseg_eval.methods import parse_methods
from diffseg_eval.segmentations import (
    Context,
    attention_clusters,
    colour_clusters,
    kmeans_plus_plus,
    true_count,
)
from diffseg_eval.types import VOID, AnnotatedImage

CAPTURE = CaptureSettings(noise_level=25, working_size=64)


class CountingSegmenter(Segmenter):
    """The demo model, which knows how often it ran."""

    captures = 0

    def capture(self, image: Image.Image) -> AttentionMaps:
        self.captures += 1
        return super().capture(image)


@pytest.fixture(scope="module")
def segmenter() -> CountingSegmenter:
    return CountingSegmenter(ModelChoice(), CAPTURE)


def noisy_image(seed: int) -> AnnotatedImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return AnnotatedImage(str(seed), Image.fromarray(pixels), None, ())


def halves() -> AttentionMaps:
    """Tokens of the upper and of the lower half attend to their own half."""
    attention = torch.full((1, 16, 16), 0.01)
    attention[:, :8, :8] += 0.105
    attention[:, 8:, 8:] += 0.105
    return AttentionMaps({(4, 4): attention})


def left_and_right() -> AnnotatedImage:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8] = 250, 20, 20
    pixels[:, 8:] = 20, 20, 250
    return AnnotatedImage("left and right", Image.fromarray(pixels), None, ())


def test_methods_share_one_capture_of_an_image(segmenter: CountingSegmenter) -> None:
    loose, tight = SegmentSettings(MergeSettings(5.0)), SegmentSettings(MergeSettings(0.01))
    run = Context(segmenter, loose)
    choices = parse_methods("diffseg,kmeans:3,colour-kmeans:3")
    first, second = noisy_image(1), noisy_image(2)
    before = segmenter.captures
    loose_labels, *clusters = [choice(run, first) for choice in choices]
    assert segmenter.captures == before + 1
    choices[0](run, second)
    assert segmenter.captures == before + 2

    tight_labels = parse_methods("diffseg")[0](Context(segmenter, tight), first)
    assert loose_labels.max() < tight_labels.max()
    assert np.array_equal(tight_labels, segmenter.segment(first.pixels, tight).labels[0].numpy())
    for labels in clusters:
        assert labels.shape == (64, 96)
        assert np.unique(labels).tolist() == [0, 1, 2]


def test_clusters_of_attention_are_the_parts_that_attend_alike() -> None:
    proposals = attention_clusters(halves(), 2)
    assert proposals.shape == (2, 4, 4)
    assert (proposals.argmax(0)[:2] != proposals.argmax(0)[2:]).all()
    assert proposals.argmax(0).unique().numel() == 2


@pytest.mark.parametrize("clusters", [3, 4, 8])
def test_clusters_of_pooled_attention_lie_on_the_grid_of_its_keys(clusters: int) -> None:
    columns = torch.arange(80 * 80) % 80 * clusters // 80  # of the queries: as many stripes as clusters
    keys = torch.arange(40 * 40) % 40 * clusters // 40
    attention = torch.where(columns[:, None] == keys, 1.0, 0.01)
    maps = AttentionMaps({(80, 80): (attention / attention.sum(1, keepdim=True))[None]})
    proposals = attention_clusters(maps, clusters)
    assert proposals.shape == (clusters, 40, 40)
    stripes = proposals.argmax(0)
    assert (stripes == stripes[0]).all()
    assert stripes[0].unique_consecutive().numel() == clusters


def test_clusters_of_colour_do_not_look_at_the_attention() -> None:
    labels = colour_clusters(left_and_right(), halves().grid, 2).argmax(0)
    assert (labels[:, :2] == labels[0, 0]).all()
    assert (labels[:, 2:] == 1 - labels[0, 0]).all()


def test_there_are_no_more_clusters_than_different_features() -> None:
    assert colour_clusters(left_and_right(), halves().grid, 9).shape == (2, 4, 4)
    assert attention_clusters(halves(), 9).shape == (2, 4, 4)


def test_the_start_is_spread_out_and_always_the_same() -> None:
    far_apart = torch.tensor([[0.0, 0.0], [0.1, 0.0], [9.0, 0.0], [9.1, 0.0], [0.0, 9.0], [0.1, 9.0]])
    start = kmeans_plus_plus(far_apart, 3)
    assert sorted((start / 9).round().tolist()) == [[0, 0], [0, 1], [1, 0]]
    assert torch.equal(start, kmeans_plus_plus(far_apart, 3))


@pytest.mark.parametrize(
    ("classes", "segments", "count"),
    [
        ([VOID, 3, 3, 5], [[0, 1, 2, 3]], 2),  # classes go before segments
        (None, [[0, 1, VOID, 1]], 2),
        (None, [[0, 1, 2, 3], [0, 0, 0, 1]], 3),  # the mean of the people
        ([VOID] * 4, [], 1),
    ],
)
def test_true_number_of_clusters(classes: list[int] | None, segments: list[list[int]], count: int) -> None:
    maps = tuple(np.array([labels], np.int32) for labels in segments)
    truth = None if classes is None else np.array([classes], np.int32)
    assert true_count(AnnotatedImage("made", Image.new("RGB", (4, 1)), truth, maps)) == count


def test_the_hierarchy_is_built_with_the_settings_of_the_tree() -> None:
    image = Image.open(demo_model_folder() / "photograph.jpg").convert("RGB").resize((180, 120))
    segmenter = Segmenter(ModelChoice(device="cpu"), CaptureSettings(noise_level=25, working_size=128))

    def labels(**settings: float) -> np.ndarray:
        tree = SegmentSettings(NestedSettings(**settings))
        return parse_methods("hierarchy:9")[0](Context(segmenter, tree), AnnotatedImage("cup", image))

    assert labels(number=3).max() == 8
    assert (labels(number=3) == labels()).all()
    assert (labels(colour=8.0) != labels()).any()


def test_merged_refined_and_nested_segments_are_four_methods() -> None:
    chosen = parse_methods("diffseg,diffseg-refined,hierarchy:5,hierarchy-refined:5")
    capture = CaptureSettings(noise_level=25, working_size=128)
    run = Context(Segmenter(ModelChoice(device="cpu"), capture), DEMO_SEGMENT)
    image = Image.open(demo_model_folder() / "photograph.jpg").convert("RGB").resize((180, 120))
    photograph = AnnotatedImage("cup", image, None, ())
    rows = [choice(run, photograph) for choice in chosen]
    assert len({row.tobytes() for row in rows}) == 4
    assert rows[0].max() == rows[1].max()
    assert rows[2].max() == rows[3].max() == 4
