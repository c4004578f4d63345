"""Reports and records of checks: what is in them, and what must not be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from made_check_results import MODEL, PHOTOGRAPHS, hierarchy, made_results, merging

from diffseg_core.benchmark.photographs import NAMES, read_photographs
from diffseg_core.benchmark.record import (
    DEMO_MODEL,
    FORMAT,
    VERSION,
    as_json,
    click_means,
    demo_model_entries,
    record,
)
from diffseg_core.benchmark.report import TILE, as_text, draw_sheet
from diffseg_core.benchmark.trials import CaptureSettings, CheckResults, Plan
from diffseg_core.errors import CaptureError

DEFAULT, BEST = hierarchy(300), hierarchy(100, "both")


def results(**changes) -> CheckResults:
    made = made_results({DEFAULT: 0.5, BEST: 0.6, merging(100, 0.8): 0.45}, **changes)
    for trial in (DEFAULT, BEST):
        made.clicks[trial] = {name: [(2, 3), (10, 10)] for name in PHOTOGRAPHS}
    made.failures[CaptureSettings(500)] = CaptureError("Expected /home/jane/secret.safetensors, got none.")
    return made


def test_the_record_has_what_was_measured():
    content = json.loads(as_json(record(results(), "1.2.3")))
    assert (content["format"], content["version"], content["diffseg"]) == (FORMAT, VERSION, "1.2.3")
    assert content["model"] == {"architecture": "SD15", "parameters": 859520964, "dtype": "float16"}
    assert (content["device"], content["host"], content["complete"]) == ("cuda", "ComfyUI", True)
    assert content["default"]["noise_level"] == 300
    assert content["chosen"] == {
        "noise_level": 100,
        "method": "hierarchy",
        "evidence": "both",
        "merge_threshold": 0.8,
        "beats_colours": True,
    }
    best = next(each for each in content["trials"] if each.get("evidence") == "both")
    assert best["score"] == 0.6
    assert set(best["by_photograph"]) == set(PHOTOGRAPHS)
    clicks = [each["to_85"] for each in content["clicks"]]
    assert clicks == [4.0, 6.0, 6.0]
    cost = {"noise_level": 100, "photographs": 3, "seconds": 3.0}
    assert cost in content["captures"]
    assert content["failures"] == [{"noise_level": 500, "error": "CaptureError"}]


def test_the_record_tells_nothing_of_a_person_or_a_place():
    text = as_json(record(results(), "1.2.3"))
    assert "/" not in text
    assert "\\" not in text
    words = set(re.findall(r"\w+", text.lower()))
    assert not words & {"jane", "secret", "safetensors", Path.home().name.lower()}
    assert "prompt" not in words


def test_blocks_are_told_of_transformers_alone():
    made = results()
    assert "layers" not in as_json(record(made, "1"))
    assert "layers" not in as_text(made, "1")
    made.model = MODEL._replace(architecture="Flux.1", is_transformer=True)
    content = json.loads(as_json(record(made, "1")))
    assert content["chosen"]["layers"] == "recommended"
    assert "layers recommended" in as_text(made, "1")


def test_clicks_are_counted_as_if_fewer_had_been_made():
    assert click_means([[(6, 10), (2, 4)]]) == [4, 7]
    assert click_means([[(6, 10)], [(2, 4)]], most=5) == [3.5, 4.5]
    assert click_means([[]]) == [None, None]


def test_the_report_has_the_model_beside_the_others():
    text = as_text(results(), "1.2.3")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0].startswith("A check of SD15 (859.5 million parameters, float16 on cuda) by DiffSeg 1.2.3")
    assert "this model, chosen settings 0.610 0.590 0.300 7 6.0 6.5" in lines
    assert "this model, default settings 0.510 0.490 0.250 7 6.0 6.5" in lines
    assert "colours alone 0.410 0.390 0.200 7 4.0 7.0" in lines
    assert any(line.startswith("the demo model 0.") for line in lines)
    assert "noise level 100, evidence both suits this model" in text
    assert "merge threshold of 0.8" in text
    assert "noise level 500 failed: Expected /home/jane" in text  # for the person who made it
    assert max(map(len, lines)) < 160


def test_a_check_that_was_ended_is_told_as_far_as_it_came():
    ended = made_results({DEFAULT: 0.5}, complete=False, colours=None)
    del ended.trials[DEFAULT].figures["lake"]
    text = as_text(ended, "1")
    assert "ended before all was tried" in text
    assert "this model, 2 photograph(s)" in text
    assert "no settings can be chosen" in text
    content = json.loads(as_json(record(ended, "1")))
    assert content["complete"] is False
    assert content["chosen"] is None
    nothing = CheckResults(MODEL, Plan(photographs=PHOTOGRAPHS))
    assert json.loads(as_json(record(nothing, "1")))["trials"] == []
    assert "the demo model" in as_text(nothing, "1")


def test_the_demo_model_is_measured_on_every_photograph():
    content = json.loads(DEMO_MODEL.read_text())
    assert content["complete"]
    assert not content["quick"]
    entry, clicks = demo_model_entries(NAMES, 10)
    assert list(entry["by_photograph"]) == list(NAMES)
    objects = {each.name: len(each.objects) for each in read_photographs()}
    for clicked in content["clicks"]:
        assert {name: len(counts) for name, counts in clicked["by_photograph"].items()} == objects
    assert all(few <= 3 < many for few, many in zip(demo_model_entries(NAMES, 3)[1], clicks, strict=True))
    assert "/" not in DEMO_MODEL.read_text()


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
