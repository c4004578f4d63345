"""Which size an image is worked at, and which resolutions are captured."""

from __future__ import annotations

import pytest

from diffseg_core import GridSize, InvalidSettingError
from diffseg_core.attention.architectures import ARCHITECTURES
from diffseg_core.attention.capture_settings import CaptureSettings, working_size
from diffseg_core.attention.layers import checked_layers, choose_blocks, choose_resolutions


@pytest.mark.parametrize(
    ("image", "side", "expected"),
    [
        ((512, 512), 512, (512, 512)),
        ((4000, 4000), 512, (512, 512)),
        ((20, 20), 768, (768, 768)),
        ((480, 640), 512, (448, 576)),
        ((640, 480), 512, (576, 448)),
        ((1080, 1920), 512, (384, 704)),
        ((1024, 1024), 1000, (1024, 1024)),
        ((768, 1344), 1024, (768, 1344)),
        ((100, 10_000), 512, (64, 5120)),
        ((1, 1), 64, (64, 64)),
        ((1, 200), 512, (64, 7232)),
    ],
)
def test_working_size_keeps_the_area_and_nearly_the_aspect_ratio(image, side, expected):
    assert working_size(GridSize(*image), side) == expected


@pytest.mark.parametrize(
    ("image", "side", "words"),
    [
        ((0, 5), 512, "at least 1×1 pixels, got 0×5"),
        ((5, 5), 63, "at least 64 pixels, got 63"),
        ((1, 201), 512, "at most 200 times as long as broad, got 201×1 pixels"),
        ((2001, 10), 512, "at most 200 times as long as broad, got 10×2001 pixels"),
    ],
)
def test_working_sizes_that_cannot_be_are_refused(image, side, words):
    with pytest.raises(InvalidSettingError, match=words):
        working_size(GridSize(*image), side)


@pytest.mark.parametrize(
    ("levels", "resolutions", "expected"),
    [
        ([0, 1, 2, 3], "all", {0, 1, 2, 3}),
        ([0, 1, 2, 3], "finest", {0}),
        ([0, 1, 2, 3], "finest two", {0, 1}),
        ([0, 1, 2, 3], "all but finest", {1, 2, 3}),
        ([2, 1, 2, 1], "finest", {1}),
        ([2, 1, 2, 1], "all but finest", {2}),
        ([2], "finest two", {2}),
    ],
)
def test_levels_follow_the_choice_of_resolutions(levels, resolutions, expected):
    assert choose_resolutions(resolutions, levels) == expected


@pytest.mark.parametrize(
    ("levels", "resolutions", "words"),
    [
        ([0, 1], "coarsest", "'all', 'finest', 'finest two' or 'all but finest', got 'coarsest'"),
        ([1, 1], "all but finest", r"self-attention at 1 resolution"),
        ([], "all", r"self-attention at 0 resolution"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(levels, resolutions, words):
    with pytest.raises(InvalidSettingError, match=words):
        choose_resolutions(resolutions, levels)


def test_layers_are_those_of_some_model():
    for choice, text in [
        (" Finest Two ", "finest two"),
        ("7-9, 12", "7-9, 12"),
        ("MIDDLE third", "middle third"),
    ]:
        assert checked_layers(choice) == text
    for choice in ("coarsest", "9-7", "", None, 3):
        with pytest.raises(InvalidSettingError, match="Expected layers"):
            checked_layers(choice)
    with pytest.raises(InvalidSettingError, match="of a transformer to be .* got 'finest'"):
        choose_blocks("finest", [24])


def test_the_noise_level_is_the_architectures_unless_it_is_chosen():
    assert CaptureSettings().at_level(300) == CaptureSettings(300)
    assert CaptureSettings(25).at_level(300) == CaptureSettings(25)
    assert {row.noise_level for row in ARCHITECTURES.values()} == {300}
