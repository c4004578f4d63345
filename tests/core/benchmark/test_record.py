"""Reports and records of checks: what is in them, and what must not be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_check_results import MODEL, PHOTOGRAPHS, hierarchy, made_results, merging

from diffseg_core.benchmark.photographs import NAMES, object_names, read_photographs
from diffseg_core.benchmark.record import (
    DEMO_MODEL,
    FORMAT,
    VERSION,
    as_json,
    click_means,
    demo_model_entry,
    record,
)
from diffseg_core.benchmark.report import TILE, as_text, draw_sheet
from diffseg_core.benchmark.trials import CaptureSettings, CheckResults, Plan, Trial
from diffseg_core.errors import CaptureError

DEFAULT, BEST = hierarchy(300), hierarchy(100, "both")


def results(**changes) -> CheckResults:
    made = made_results({DEFAULT: 0.5, BEST: 0.6, merging(100, 0.8): 0.45}, **changes)
    for trial in (DEFAULT, BEST):
        made.rows[trial].clicks = {name: [(2, 3), (10, 10)] for name in PHOTOGRAPHS}
    failed = made.row(Trial("capture", CaptureSettings(500)))
    failed.error = CaptureError("Expected /home/jane/secret.safetensors, got none.")
    return made


def test_the_record_has_what_was_measured():
    content = json.loads(as_json(record(results(), "1.2.3")))
    assert (content["format"], content["version"], content["diffseg"]) == (FORMAT, VERSION, "1.2.3")
    assert content["model"] == MODEL
    assert content["complete"]
    assert content["default"]["noise_level"] == 300
    assert content["chosen"] == {
        "noise_level": 100,
        "layers": "recommended",
        "method": "hierarchy",
        "evidence": "both",
        "merge_threshold": 0.8,
        "beats_colours": True,
    }
    default, best, merged, colours, failed = content["rows"]
    assert best["score"] == 0.6
    assert best["seconds"] == 1.5
    assert set(best["by_photograph"]) == set(PHOTOGRAPHS)
    assert [row.get("to_85") for row in (default, best, merged, colours)] == [6, 6, None, 4]
    assert failed == {
        "noise_level": 500,
        "layers": "recommended",
        "method": "capture",
        "error": "CaptureError",
    }


def test_the_record_tells_nothing_of_a_person_or_a_place():
    text = as_json(record(results(), "1.2.3"))
    assert "/" not in text
    assert "\\" not in text
    words = set(re.findall(r"\w+", text.lower()))
    assert not words & {"jane", "secret", "safetensors", Path.home().name.lower()}
    assert "prompt" not in words


def test_layers_are_told_where_they_are_not_the_recommended_ones():
    assert "layers" not in as_text(results(), "1")
    assert "layers all, evidence attention suits" in as_text(
        made_results({hierarchy(100, blocks="all"): 1}), "1"
    )


def test_clicks_are_counted_as_if_fewer_had_been_made():
    assert click_means([[(6, 10), (2, 4)]], most=10) == {"to_85": 4, "to_90": 7}
    assert click_means([[(6, 10)], [(2, 4)]], most=5) == {"to_85": 3.5, "to_90": 4.5}


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
    del ended.rows[DEFAULT].figures["lake"]
    text = as_text(ended, "1")
    assert "ended before all was tried" in text
    assert "this model, 2 photograph(s)" in text
    assert "no settings can be chosen" in text
    content = json.loads(as_json(record(ended, "1")))
    assert content["complete"] is False
    assert content["chosen"] is None
    nothing = CheckResults(MODEL, Plan(photographs=PHOTOGRAPHS))
    assert json.loads(as_json(record(nothing, "1")))["rows"] == []
    assert "the demo model" in as_text(nothing, "1")


def test_the_demo_model_is_measured_on_every_photograph():
    content = json.loads(DEMO_MODEL.read_text())
    assert content["complete"]
    assert not content["quick"]
    objects = {name: len(names) for name, names in object_names().items()}
    clicked = [row["clicks"] for row in content["rows"] if "clicks" in row]
    assert len(clicked) == 3
    for counts in clicked:
        assert {name: len(of_photograph) for name, of_photograph in counts.items()} == objects
    entry, fewer = demo_model_entry(NAMES, 10), demo_model_entry(NAMES, 3)
    assert entry["covering"] == pytest.approx(0.6936, abs=1e-4)
    assert all(fewer[to] <= 3 < entry[to] for to in ("to_85", "to_90"))
    assert "/" not in DEMO_MODEL.read_text()


def test_the_sheet_has_a_tile_for_each_photograph():
    made = results()
    made.labels = {
        photograph.name: np.indices(photograph.truth.shape)[1].astype(np.int32) // 100
        for photograph in read_photographs(PHOTOGRAPHS)
    }
    assert draw_sheet(made).size == (3 * TILE[0], TILE[1])
    made.labels = {}
    assert draw_sheet(made).size == TILE
