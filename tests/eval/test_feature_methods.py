"""Trees and cuts on a capture's features, made by hand and of the demo model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from diffseg_cli.batch.models import demo_model_folder
from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import CaptureSettings, ModelChoice, NestedSettings, SegmentSettings
from diffseg_core import AttentionMaps
from diffseg_core.attention.maps import Evidence
from diffseg_core.diffcut.segment_cut import segment_cut
from diffseg_core.errors import InvalidSettingError
from diffseg_eval.methods import MethodChoice, parse_methods
from diffseg_eval.segmentations import Context
from diffseg_eval.types import AnnotatedImage

GRID = 8
CAPTURE = CaptureSettings(noise_level=25, working_size=128)
NAMES = "hierarchy:4,features-hierarchy:4,both-hierarchy:4,cut,diffcut"


class GivenCapture:
    """In place of a model: one capture for every image."""

    def __init__(self, maps: AttentionMaps) -> None:
        self.maps = maps

    def capture(self, image: Image.Image) -> AttentionMaps:
        return self.maps


def made_maps(with_features: bool = True, evidence: Evidence = "attention") -> AttentionMaps:
    """Attention within the upper and the lower half; features that differ between left and right."""
    place = torch.arange(GRID * GRID)
    upper, left = place // GRID < GRID // 2, place % GRID < GRID // 2
    attention = torch.where(upper[:, None] == upper[None], 1.0, 0.01)
    features = torch.stack((left.float(), (~left).float(), torch.full((GRID * GRID,), 0.1)))
    return AttentionMaps(
        {(GRID, GRID): (attention / attention.sum(1, keepdim=True))[None]},
        features.view(1, 3, GRID, GRID) if with_features else None,
        evidence=evidence,
    )


def quarters() -> AnnotatedImage:
    """64×64 pixels in four colours, of which none lies between two others."""
    colours = np.array([[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [240, 240, 240]]], np.uint8)
    return AnnotatedImage("quarters", Image.fromarray(colours.repeat(32, 0).repeat(32, 1)), None, ())


def labels_of(maps: AttentionMaps, kind: str, number: float = 2) -> np.ndarray:
    tree = SegmentSettings(NestedSettings(contrast=0.0, colour=0.0))
    run = Context(GivenCapture(maps), tree)  # type: ignore[arg-type]
    return MethodChoice(kind, number)(run, quarters())


def is_of_halves(labels: np.ndarray, axis: int) -> bool:
    """Whether there are two segments, which are the halves to some pixels at the border."""
    middle = labels.take(range(8, 24), axis), labels.take(range(40, 56), axis)
    return all((part == part.flat[0]).all() for part in middle) and labels.max() == 1


def test_hierarchy_follows_attention_and_the_others_what_they_are_named_after() -> None:
    for evidence in ("attention", "features"):  # whatever is better known to work in the model
        maps = made_maps(evidence=evidence)
        assert is_of_halves(labels_of(maps, "hierarchy"), axis=0)
        assert is_of_halves(labels_of(maps, "features-hierarchy"), axis=1)
        both = labels_of(maps, "both-hierarchy", 4)
        corners = both[16::32, 16::32]
        assert np.unique(corners).size == 4


@pytest.mark.parametrize("kind", ["cut", "diffcut"])
def test_cuts_follow_features(kind: str) -> None:
    assert is_of_halves(labels_of(made_maps(), kind, 0.5), axis=1)


@pytest.mark.parametrize("kind", ["features-hierarchy", "both-hierarchy", "cut", "diffcut"])
def test_a_capture_without_features_is_refused(kind: str) -> None:
    with pytest.raises(InvalidSettingError, match="attention with features, got one without"):
        labels_of(made_maps(with_features=False), kind, 0.5 if "cut" in kind else 2)


def test_hierarchy_needs_no_features() -> None:
    assert is_of_halves(labels_of(made_maps(with_features=False), "hierarchy"), axis=0)


def test_the_rows_of_the_demo_model_differ_and_diffcut_is_the_papers() -> None:
    run = Context(Segmenter(ModelChoice(device="cpu"), CAPTURE), SegmentSettings())
    image = Image.open(demo_model_folder() / "photograph.jpg").convert("RGB").resize((180, 120))
    photograph = AnnotatedImage("cup", image, None, ())
    rows = {method.name: method(run, photograph) for method in parse_methods(NAMES)}
    assert list(rows) == [
        *("hierarchy:4", "features-hierarchy:4", "both-hierarchy:4", "cut:0.5", "diffcut:0.5"),
    ]
    assert len({row.tobytes() for row in rows.values()}) == 5
    for row in rows.values():
        assert row.shape == (120, 180)
        assert np.unique(row).tolist() == list(range(row.max() + 1))
    expected = segment_cut(run.maps(photograph), image, threshold=0.5, power=10.0, borders="features")
    assert np.array_equal(rows["diffcut:0.5"], expected.labels[0].numpy())


def test_thresholds_give_more_segments_at_higher_ones() -> None:
    run = Context(Segmenter(ModelChoice(device="cpu"), CAPTURE), SegmentSettings())
    image = Image.open(demo_model_folder() / "photograph.jpg").convert("RGB").resize((180, 120))
    photograph = AnnotatedImage("cup", image, None, ())
    counts = [int(method(run, photograph).max()) for method in parse_methods("diffcut:0.2,0.5,0.8")]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
