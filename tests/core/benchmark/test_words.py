"""What a check says of words: on made-up models that find objects by their names, and on ones that do not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_check_results import MODEL
from small_photographs import smaller

from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.attention.text import TextAttention
from diffseg_core.benchmark import run
from diffseg_core.benchmark.measures import mean_of
from diffseg_core.benchmark.photographs import NAMES, object_names, read_photographs
from diffseg_core.benchmark.record import as_json, best_trial, finds_by_words, record
from diffseg_core.benchmark.report import as_text
from diffseg_core.benchmark.run import Check, check_measured
from diffseg_core.benchmark.trials import CaptureSettings, CheckResults, Plan, Trial
from diffseg_core.benchmark.words import (
    WordFigures,
    areas_under_curve,
    measure_words,
    names_of,
    other_names,
)
from diffseg_core.errors import UnsupportedModelError
from diffseg_core.grid import GridSize
from diffseg_core.hierarchy.segment_hierarchy import segment_hierarchy
from diffseg_core.words.lines import TokenPlaces, WordAttention

GRID = 24
PHOTOGRAPHS = ("coffee", "lake", "harbour", "taipei", "otter", "airplane")
FEW = PHOTOGRAPHS[:2]
DEFAULT = CaptureSettings(300)
PLAN = Plan(DEFAULT, (300,), thresholds=(), photographs=PHOTOGRAPHS, clicks=1)


@pytest.fixture(scope="module")
def photographs():
    return smaller(read_photographs(PHOTOGRAPHS))


@pytest.fixture(autouse=True)
def small(monkeypatch, photographs):
    monkeypatch.setattr(
        run, "read_photographs", lambda names: [each for each in photographs if each.name in names]
    )


def coarse(truth) -> torch.Tensor:
    """The object of each place of the grid, flat."""
    height, width = truth.shape
    rows = (torch.arange(GRID) * 2 + 1) * height // (2 * GRID)
    columns = (torch.arange(GRID) * 2 + 1) * width // (2 * GRID)
    return torch.from_numpy(truth)[rows][:, columns].flatten()


LAST = []


def shown(photographs, image=None):
    """The photograph of an image, or of the last that was captured."""
    sought = LAST[-1] if image is None else image
    return next(photograph for photograph in photographs if photograph.images.colours is sought)


def capture_of(photographs):
    """A capture whose places attend to those of the same object."""

    def capture(image, settings):
        LAST[:] = [image]
        objects = coarse(shown(photographs, image).truth)
        alike = (objects[:, None] == objects[None]).float() + 0.001
        return AttentionMaps({(GRID, GRID): (alike / alike.sum(1, keepdim=True))[None]})

    return capture


def attention(lines, maps: torch.Tensor) -> WordAttention:
    """Attention to a start, a token for each line, "other objects" and "background": ``[places, tokens]``."""
    count = len(lines)
    places = TokenPlaces(tuple(((1 + each,),) for each in range(count)), (1 + count,), (2 + count,))
    return WordAttention(tuple(lines), TextAttention(GridSize(GRID, GRID), maps[None]), places)


def sees(photographs):
    """A reader of a model that attends to an object's name where the object is."""

    def read(maps, lines):
        photograph = shown(photographs)
        objects = coarse(photograph.truth)
        scores = torch.zeros(GRID**2, len(lines) + 3)
        scores[:, 0] = 4.0  # most goes to the start, as in every model
        for place, line in enumerate(lines, start=1):
            if line.name in photograph.objects:
                scores[objects == photograph.objects.index(line.name), place] = 3.0
        scores[objects < 0, -1] = 3.0
        return attention(lines, scores.softmax(1))

    return read


def blind(maps, lines):
    """A reader of a model with random weights: a word draws the same places in every photograph, smoothly."""
    names = ["start", *(line.name for line in lines), "other objects", "background"]
    coarse_maps = torch.stack(
        [torch.randn(3, 3, generator=torch.Generator().manual_seed(sum(map(ord, name)))) for name in names]
    )
    smooth = F.interpolate(coarse_maps[None], size=(GRID, GRID), mode="bicubic")[0].flatten(1)
    return attention(lines, (smooth.T * 3).softmax(1))


def words_of(content) -> list[dict]:
    return [row for row in content["rows"] if row["method"] == "words"]


def gains_of(*gains, names=None) -> dict[str, dict[str, float]]:
    """Of as many photographs, each with objects of its own but where they are given."""
    return {
        str(place): dict.fromkeys(names[place] if names else (f"a{place}", f"b{place}"), gain)
        for place, gain in enumerate(gains)
    }


def figures(*gains) -> dict[str, WordFigures]:
    return {str(place): WordFigures(0.5 + gain, 0.5, 0.4, 0.0, 0.0, 0.0) for place, gain in enumerate(gains)}


def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order():
    values = np.array([[0.1, 0.4], [0.4, 0.9], [0.4, 0.2]])
    mask = np.array([[False, True], [False, True], [False, False]])
    # Inside .4 and .9, outside .1, .4, .4, .2: of 8 pairs 6 are right and 2 equal.
    assert areas_under_curve(values, [mask]) == [(6 + 2 / 2) / 8]
    random = np.random.default_rng(0)
    values, mask = random.integers(0, 9, 200) / 8, random.random(200) < 0.3
    pairs = np.sign(values[mask][:, None] - values[~mask][None])
    assert areas_under_curve(values, [mask]) == pytest.approx([(pairs.mean() + 1) / 2])
    assert areas_under_curve(np.zeros(200), [mask]) == [0.5]


@pytest.mark.parametrize("name", NAMES)
def test_other_names_are_as_many_and_none_of_the_photographs_own(name):
    own, others = names_of(name), other_names(name)
    assert [line.name for line in own] == list(object_names()[name])
    assert len(own) == len(others) == len({line.name for line in others})
    assert not {line.name for line in own} & {line.name for line in others}
    assert other_names(name) == others


def test_a_model_finds_by_words_when_its_own_words_are_better_by_more_than_chance_makes():
    assert finds_by_words(gains_of(0.2, 0.3, 0.25, 0.3, 0.2, 0.25))
    assert not finds_by_words(gains_of(0.09, 0.1, 0.09, 0.1, 0.09, 0.1))  # less than the margin
    assert not finds_by_words(gains_of(*(-0.3,) * 6))
    # Mean .12 with an error of .0529 over six photographs: 2.27 errors, and Student's limit is 2.571.
    assert not finds_by_words(gains_of(0.22, 0.22, 0.22, 0.22, -0.08, -0.08))
    assert finds_by_words(gains_of(*(0.22,) * 8, *(-0.08,) * 2))  # 0.16, and 4 errors


def test_the_verdict_takes_a_name_once_however_often_its_object_is_shown():
    """A model that happens to draw "sky" to where skies are has one lucky word, and not six."""
    lucky = (0.4,) * 6 + (0.0,) * 2
    own = [(f"a{place}",) for place in range(8)]
    assert finds_by_words(gains_of(*lucky, names=own))
    shared = [("sky",)] * 6 + own[6:]
    assert not finds_by_words(gains_of(*lucky, names=shared))


def test_few_photographs_are_no_ground_for_a_verdict():
    assert finds_by_words(gains_of(*(0.4,) * 5)) is None
    assert finds_by_words({}) is None


def test_words_are_measured_on_their_own_object_on_the_others_and_where_they_are_absent(photographs):
    """Harbour: building, water and sky fill it; the model takes water for sky and sky for water."""
    harbour = next(each for each in photographs if each.name == "harbour")
    own, others = names_of("harbour"), other_names("harbour")
    truth = coarse(harbour.truth)
    scores = torch.zeros(GRID**2, len(own) + 3)
    for place, name in enumerate(("building", "sky", "water"), start=1):
        scores[truth == harbour.objects.index(name), place] = 4.0
    maps = capture_of(photographs)(harbour.images.colours, DEFAULT)
    segments = segment_hierarchy(maps, harbour.images)
    flat = torch.zeros(GRID**2, len(others) + 3)
    found, gains = measure_words(
        harbour, segments, maps, attention(own, scores.softmax(1)), attention(others, flat.softmax(1))
    )
    assert list(gains) == ["building", "water", "sky"]
    assert found.others == pytest.approx(0.5, abs=0.03)
    assert gains["building"] > 0.4
    assert gains["water"] < 0 > gains["sky"]
    mean = np.mean(list(gains.values()))
    assert found.auc - found.others == pytest.approx(mean)
    # Of six pairs of an object and another's name two are right, water and sky; the other four are wrong.
    assert 0.3 < found.swapped < 0.7
    assert found.absent == 0


def test_a_model_that_attends_to_names_finds_things_by_words(photographs):
    steps = []
    check = Check(
        capture_of(photographs),
        MODEL,
        PLAN,
        lambda *step: steps.append(step),
        read_words=sees(photographs),
    )
    results = check.run()
    assert list(results.of("words")) == [Trial("words", DEFAULT)]
    for result in results.of("words").values():
        assert list(result.figures) == list(PHOTOGRAPHS)
        assert mean_of(result.figures.values()).auc > 0.9
        assert 0.3 < mean_of(result.figures.values()).others < 0.7
        assert mean_of(result.figures.values()).swapped < 0.5
        assert mean_of(result.figures.values()).iou > 0.5
        assert mean_of(result.figures.values()).found > 0.7
    assert steps[-1][0] == steps[-1][1]
    assert sum(what.startswith("words, ") for _, _, what in steps) == len(PHOTOGRAPHS)
    text = as_text(results, "1")
    assert "chance 0.50): the model finds things by words." in text
    content = json.loads(as_json(record(results, "1")))
    (first,) = words_of(content)
    assert (first["noise_level"], first["finds"]) == (300, True)
    assert {name: len(gains) for name, gains in first["gains"].items()} == {
        name: len(object_names()[name]) for name in PHOTOGRAPHS
    }
    assert first["auc"] == pytest.approx(
        np.mean([each[0] for each in first["by_photograph"].values()]), abs=1e-4
    )


@pytest.mark.slow
def test_a_model_to_which_words_mean_nothing_is_said_not_to_find(photographs):
    results = Check(capture_of(photographs), MODEL, PLAN, read_words=blind).run()
    for result in results.of("words").values():
        assert finds_by_words(result.gains) is False
        assert abs(mean_of(result.figures.values()).auc - mean_of(result.figures.values()).others) < 0.2
    text = as_text(results, "1")
    assert "the model does not find things by words, as far as these photographs tell" in text
    assert words_of(record(results, "1"))[0]["finds"] is False


@pytest.mark.slow
def test_words_are_read_at_the_default_and_at_the_chosen_settings(photographs):
    def capture(image, settings):
        if settings.noise_level == 100:
            return capture_of(photographs)(image, settings)
        LAST[:] = [image]
        random = torch.Generator().manual_seed(1)
        return AttentionMaps({(GRID, GRID): torch.randn(1, GRID**2, GRID**2, generator=random).softmax(-1)})

    plan = Plan(DEFAULT, (100, 200), thresholds=(), photographs=FEW, clicks=1)
    results = Check(capture, MODEL, plan, read_words=sees(photographs)).run()
    assert [trial.capture.noise_level for trial in results.of("words")] == [300, 100]


@pytest.mark.slow
def test_another_tree_of_the_same_capture_reads_no_words_again(photographs):
    """The best evidence here is the features, which tell the objects; attention is noise."""

    def capture(image, settings):
        LAST[:] = [image]
        random = torch.Generator().manual_seed(1)
        noise = torch.randn(1, GRID**2, GRID**2, generator=random).softmax(-1)
        objects = coarse(shown(photographs, image).truth) + 1
        features = F.one_hot(objects).T.unflatten(1, (GRID, GRID))[None] - 0.5
        return AttentionMaps({(GRID, GRID): noise}, features.half())

    def read(maps, lines):
        calls.append(lines)
        return sees(photographs)(maps, lines)

    calls = []
    plan = Plan(DEFAULT, (300,), thresholds=(), photographs=FEW, clicks=1)
    results = Check(capture, MODEL, plan, read_words=read).run()
    assert best_trial(results).capture == DEFAULT
    assert best_trial(results) != results.default
    assert len(calls) == len(set(calls)) == 2 * len(FEW)


@pytest.mark.slow
def test_why_words_were_not_measured_is_told(photographs):
    plan = replace(PLAN, photographs=FEW)
    results = Check(capture_of(photographs), MODEL, plan, no_words="no clip is connected.").run()
    assert "Words were not measured: no clip is connected." in as_text(results, "1")
    assert words_of(record(results, "1")) == []

    def fails(maps, lines):
        calls.append(lines)
        raise UnsupportedModelError("Expected /home/jane, got none.")

    calls = []
    results = Check(capture_of(photographs), MODEL, plan, read_words=fails).run()
    check_measured(results)
    assert results.is_complete
    assert results.of("capture") == {}
    assert len(calls) == 1
    text = as_text(results, "1")
    assert "Words were not measured at noise level 300: Expected /home/jane" in text
    text = as_json(record(results, "1"))
    (failed,) = words_of(json.loads(text))
    assert (failed["noise_level"], failed["error"]) == (300, "UnsupportedModelError")
    assert "jane" not in text


@pytest.mark.slow
def test_words_that_fail_on_the_way_are_told_with_how_far_they_came(photographs):
    def read(maps, lines):
        if shown(photographs).name == "lake":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sees(photographs)(maps, lines)

    results = Check(capture_of(photographs), MODEL, PLAN, read_words=read).run()
    (words,) = results.of("words").values()
    assert len(words.figures) == 1
    text = as_text(results, "1")
    assert "not measured to the end at noise level 300: CUDA out of memory" in text
    assert "finds things by words" not in text
    assert "finds" not in words_of(record(results, "1"))[0]


def test_few_photographs_are_said_to_be_too_few(photographs):
    plan = replace(PLAN, photographs=FEW)
    results = Check(capture_of(photographs), MODEL, plan, read_words=sees(photographs)).run()
    text = as_text(results, "1")
    assert "too few photographs to tell whether the model finds things by words" in text
    assert words_of(record(results, "1"))[0]["finds"] is None


@pytest.mark.slow
def test_a_check_that_was_ended_tells_what_it_has_of_words(photographs):
    def stop(done, total, what):
        if what.startswith("words, "):
            raise KeyboardInterrupt

    check = Check(capture_of(photographs), MODEL, PLAN, stop, read_words=sees(photographs))
    with pytest.raises(KeyboardInterrupt):
        check.run()
    text = as_text(check.results, "1")
    assert "noise level 300 (1 photographs)" in text
    assert "finds things by words" not in text
    first = words_of(record(check.results, "1"))[0]
    assert first["photographs"] == 1
    assert "finds" not in first
    assert as_text(CheckResults(MODEL, PLAN), "1").count("Words") == 0
