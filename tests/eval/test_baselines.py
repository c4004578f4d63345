"""Baselines, and the methods by the names under which one asks for them."""

from __future__ import annotations

import made_datasets
import numpy as np
import pytest
from PIL import Image

from diffseg_cli.batch.settings import SegmentSettings
from diffseg_core.errors import InvalidSettingError
from diffseg_eval.methods import parse_methods
from diffseg_eval.segmentations import Context
from diffseg_eval.types import AnnotatedImage


def image() -> AnnotatedImage:
    return AnnotatedImage("made", Image.fromarray(made_datasets.made_image(0)), None, ())


def labels_of(methods: str) -> dict[str, np.ndarray]:
    run = Context(None, SegmentSettings())  # no model is needed for pixels
    return {choice.name: choice(run, image()) for choice in parse_methods(methods)}


def test_grid_is_rectangles_of_equal_size_row_by_row() -> None:
    labels = labels_of("grid:2,4")
    assert [int(found.max()) for found in labels.values()] == [3, 15]
    assert labels["grid:2"][:20, :30].tolist() == [[0] * 30] * 20
    assert np.bincount(labels["grid:2"].ravel()).tolist() == [600] * 4
    assert labels["grid:2"][39, 0] == 2


@pytest.mark.parametrize("method", ["one-segment", "slic:4", "felzenszwalb:200"])
def test_labels_fit_the_image_and_count_from_zero(method: str) -> None:
    labels = labels_of(method)[method]
    assert labels.shape == (40, 60)
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    assert (labels.max() == 0) == (method == "one-segment")


def test_names_of_methods() -> None:
    for text, names in {
        "diffseg": "diffseg",
        "slic:8,8": "slic:8",
        "diffcut,cut": "diffcut:0.5 cut:0.5",
        "diffcut:.3,0.5,0.50,0.70,slic:8": "diffcut:0.3 diffcut:0.5 diffcut:0.7 slic:8",
        "features-hierarchy,both-hierarchy:10": "features-hierarchy both-hierarchy:10",
        "slic:8,16,one-segment,slic:4": "slic:8 slic:16 one-segment slic:4",
        "kmeans,grid:3": "kmeans:6 grid:3",
        "felzenszwalb": "felzenszwalb:200 felzenszwalb:400 felzenszwalb:800 felzenszwalb:1600",
    }.items():
        assert " ".join(choice.name for choice in parse_methods(text)) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sam", "one-segment, grid.*got 'sam'"),
        ("8,slic", "got '8'"),
        ("slic,8", "got '8'"),
        ("slic:1", "from 2 .segments. for slic, got '1'"),
        ("slic:8,x", "got 'x'"),
        ("diffseg:3", "no number for the method diffseg"),
        ("slic:8,0.5", "whole number from 2 .segments. for slic, got '0.5'"),
        ("diffcut:0.95", r"from 0\.01 to 0\.9 \(threshold\) for diffcut, got '0.95'"),
        ("cut:0", r"from 0\.01 to 0\.9 \(threshold\) for cut, got '0'"),
        ("diffcut:much", "got 'much'"),
        ("diffcut:0.5,nan", "got 'nan'"),
        ("both-hierarchy:0.5", "whole number from 0 .segments. for both-hierarchy, got '0.5'"),
    ],
)
def test_methods_that_are_not_there_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        parse_methods(text)
