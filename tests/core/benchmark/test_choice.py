"""Which settings are chosen, and what is said of the model."""

from __future__ import annotations

from made_check_results import PHOTOGRAPHS, hierarchy, made_results, measures, merging

from diffseg_core.benchmark.record import MARGIN, TIE, beats, best_trial, choose
from diffseg_core.benchmark.report import as_text
from diffseg_core.benchmark.trials import (
    BLOCKS,
    NOISE_LEVELS,
    THRESHOLDS,
    CaptureSettings,
    plan_for,
)

DEFAULT = hierarchy(300)


def test_the_best_settings_are_chosen():
    results = made_results({DEFAULT: 0.5, hierarchy(100): 0.55, hierarchy(100, "both"): 0.6})
    assert best_trial(results) == hierarchy(100, "both")


def test_the_default_settings_stay_in_a_tie():
    assert best_trial(made_results({DEFAULT: 0.5, hierarchy(100): 0.5 + 0.9 * TIE})) == DEFAULT
    assert best_trial(made_results({DEFAULT: 0.5, hierarchy(100): 0.5 + 1.1 * TIE})) == hierarchy(100)


def test_what_was_not_made_on_all_photographs_is_not_chosen():
    results = made_results({DEFAULT: 0.5, hierarchy(100): 0.9})
    del results.rows[hierarchy(100)].figures["cat"]
    assert best_trial(results) == DEFAULT
    del results.rows[DEFAULT].figures["cat"]
    assert best_trial(results) is None
    assert choose(results) is None


def test_the_threshold_is_that_of_the_chosen_capture():
    merged = {merging(300, 0.3): 0.9, merging(100, 0.8): 0.5, merging(100, 1.0): 0.45}
    results = made_results({DEFAULT: 0.5, hierarchy(100): 0.6, **merged})
    assert choose(results)["merge_threshold"] == 0.8
    results = made_results({DEFAULT: 0.5, merging(300, 0.8): 0.505, merging(300, 1.0): 0.5})
    assert choose(results)["merge_threshold"] == 1.0
    assert choose(made_results({DEFAULT: 0.5}))["merge_threshold"] is None


def test_a_model_must_be_clearly_better_than_colours():
    def even(score):
        return {name: measures(score) for name in PHOTOGRAPHS}

    assert beats(even(0.5), even(0.5 - 1.1 * MARGIN))
    assert not beats(even(0.5), even(0.5 - 0.9 * MARGIN))
    uneven = {name: measures(score) for name, score in zip(PHOTOGRAPHS, (0.9, 0.45, 0.45), strict=True)}
    assert not beats(uneven, even(0.5))  # by one photograph
    assert beats(even(0.5), {}) is None


def test_no_better_than_colours_is_said_plainly():
    poor = made_results({DEFAULT: 0.41}, colours=0.4)
    assert choose(poor)["beats_colours"] is False
    assert "no better than colours alone" in as_text(poor, "1.2.3")
    good = made_results({DEFAULT: 0.5}, colours=0.4)
    assert "The model is better than colours alone." in as_text(good, "1.2.3")
    unknown = made_results({DEFAULT: 0.5}, colours=None)
    assert "colours alone" not in as_text(unknown, "1.2.3")


def test_plans_suit_the_kind_of_model():
    unet, transformer = plan_for(is_transformer=False), plan_for(is_transformer=True)
    assert unet.captures[0] == CaptureSettings(300)
    assert [each.noise_level for each in unet.captures[1:]] == [50, 100, 200, 500]
    assert (unet.thresholds, unet.blocks) == (THRESHOLDS, ())
    assert (transformer.thresholds, transformer.blocks) == ((), BLOCKS)
    boxed = plan_for(False, default=CaptureSettings(25), default_threshold=0.5)
    assert [each.noise_level for each in boxed.captures] == [25, *NOISE_LEVELS]
    assert 0.5 in boxed.thresholds
    quick = plan_for(True, quick=True)
    assert len(quick.photographs) == 4
    assert quick.is_quick
    assert len(quick.captures) + len(quick.blocks) == 3
