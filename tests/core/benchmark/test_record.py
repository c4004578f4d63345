"""Reports and records of checks: what is in them, and what must not be."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from made_check_results import MODEL, PHOTOGRAPHS, hierarchy, made_results, merging

from diffseg_core.benchmark.boxed_model import FILE, boxed_model
from diffseg_core.benchmark.clicks import ClickCounts
from diffseg_core.benchmark.measures import mean_of
from diffseg_core.benchmark.photographs import NAMES, read_photographs
from diffseg_core.benchmark.record import FORMAT, VERSION, as_json, clicks_of, measures_of
from diffseg_core.benchmark.report import as_text
from diffseg_core.benchmark.results import CheckResults
from diffseg_core.benchmark.sheet import TILE, draw_sheet
from diffseg_core.benchmark.trials import CaptureSettings, Plan
from diffseg_core.errors import CaptureError

DEFAULT, BEST = hierarchy(300), hierarchy(100, "both")


def results(**changes) -> CheckResults:
    made = made_results({DEFAULT: 0.5, BEST: 0.6, merging(100, 0.8): 0.45}, **changes)
    for trial in (DEFAULT, BEST):
        made.clicks[trial] = ClickCounts(10, {name: [(2, 3), (10, 10)] for name in PHOTOGRAPHS})
    made.failures[CaptureSettings(500)] = CaptureError("Expected /home/jane/secret.safetensors, got none.")
    return made


def test_the_record_has_what_was_measured():
    record = json.loads(as_json(results(), "1.2.3"))
    assert (record["format"], record["version"], record["diffseg"]) == (FORMAT, VERSION, "1.2.3")
    assert record["model"] == {"architecture": "SD15", "parameters": 859520964, "dtype": "float16"}
    assert (record["device"], record["host"], record["complete"]) == ("cuda", "ComfyUI", True)
    assert record["default"]["noise_level"] == 300
    assert record["chosen"] == {
        "noise_level": 100,
        "method": "hierarchy",
        "evidence": "both",
        "merge_threshold": 0.8,
        "beats_colours": True,
    }
    best = next(each for each in record["trials"] if each.get("evidence") == "both")
    assert best["score"] == 0.6
    assert set(best["by_photograph"]) == set(PHOTOGRAPHS)
    clicks = [each["to_85"] for each in record["clicks"]]
    assert clicks == [4.0, 6.0, 6.0]
    cost = {"noise_level": 100, "photographs": 3, "seconds": 3.0, "peak_memory_mb": 1024}
    assert cost in record["captures"]
    assert record["failures"] == [{"noise_level": 500, "error": "CaptureError"}]


def test_the_record_tells_nothing_of_a_person_or_a_place():
    text = as_json(results(), "1.2.3")
    assert "/" not in text
    assert "\\" not in text
    words = set(re.findall(r"\w+", text.lower()))
    assert not words & {"jane", "secret", "safetensors", Path.home().name.lower()}
    assert "prompt" not in words


def test_blocks_are_told_of_transformers_alone():
    made = results()
    assert "layers" not in as_json(made, "1")
    assert "layers" not in as_text(made, "1")
    made.model = replace(MODEL, architecture="Flux.1", is_transformer=True)
    record = json.loads(as_json(made, "1"))
    assert record["chosen"]["layers"] == "recommended"
    assert "layers recommended" in as_text(made, "1")


def test_what_was_written_is_read_again():
    made = results()
    record = json.loads(as_json(made, "1"))
    entry = next(each for each in record["trials"] if each.get("evidence") == "both")
    assert mean_of(measures_of(entry).values()) == made.trials[BEST].mean
    counts = clicks_of(record["clicks"][0], most=5)
    assert counts.counts["cat"] == [(5, 5), (2, 4)]
    assert counts.most == 5


def test_the_report_has_the_model_beside_the_others():
    text = as_text(results(), "1.2.3")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0].startswith("A check of SD15 (859.5 million parameters, float16 on cuda) by DiffSeg 1.2.3")
    assert "this model, chosen settings 0.610 0.590 0.300 7 6.0 6.5" in lines
    assert "this model, default settings 0.510 0.490 0.250 7 6.0 6.5" in lines
    assert "colours alone 0.410 0.390 0.200 7 4.0 7.0" in lines
    assert any(line.startswith("the model in the box 0.") for line in lines)
    assert "noise level 100, evidence both suits this model" in text
    assert "merge threshold of 0.8" in text
    assert "noise level 500 failed: Expected /home/jane" in text  # for the person who made it
    assert max(map(len, lines)) < 160


def test_a_check_that_was_ended_is_told_as_far_as_it_came():
    ended = made_results({DEFAULT: 0.5}, complete=False, colours=None)
    del ended.trials[DEFAULT].measures["lake"]
    text = as_text(ended, "1")
    assert "ended before all was tried" in text
    assert "this model, 2 photograph(s)" in text
    assert "no settings can be chosen" in text
    record = json.loads(as_json(ended, "1"))
    assert record["complete"] is False
    assert record["chosen"] is None
    nothing = CheckResults(MODEL, Plan(photographs=PHOTOGRAPHS))
    assert json.loads(as_json(nothing, "1"))["trials"] == []
    assert "the model in the box" in as_text(nothing, "1")


def test_the_boxed_model_is_measured_on_every_photograph():
    record = json.loads(FILE.read_text())
    assert record["complete"]
    assert not record["quick"]
    boxed = boxed_model(NAMES, 10)
    assert list(boxed.measures) == list(NAMES)
    objects = {each.name: len(each.objects) for each in read_photographs()}
    assert {name: len(counts) for name, counts in boxed.clicks.counts.items()} == objects
    few = boxed_model(["coffee"], 3)
    assert max(max(each) for each in few.clicks.counts["coffee"]) <= 3
    assert "/" not in FILE.read_text()


def test_the_sheet_has_a_tile_for_each_photograph():
    made = results()
    made.labels = {
        BEST: {
            each.name: np.indices(each.truth.shape)[1].astype(np.int32) // 100
            for each in read_photographs(PHOTOGRAPHS)
        }
    }
    sheet = draw_sheet(made)
    assert sheet.shape == (1, TILE[0], 3 * TILE[1], 3)
    assert 0 <= sheet.min() <= sheet.max() <= 1
    made.labels = {}
    assert draw_sheet(made).shape == (1, *TILE, 3)
