"""Whole checks of made-up models, on small photographs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from made_check_results import MODEL
from small_photographs import smaller

from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.benchmark import report, run
from diffseg_core.benchmark.measures import mean_of
from diffseg_core.benchmark.photographs import read_photographs
from diffseg_core.benchmark.record import as_json, best_trial, choose, click_means, record
from diffseg_core.benchmark.report import as_text
from diffseg_core.benchmark.run import Check, check_measured
from diffseg_core.benchmark.trials import COLOURS, CaptureSettings, Plan
from diffseg_core.errors import CaptureError

GRID = 16
NAMES = ("coffee", "lake", "harbour")
PLAN = Plan(CaptureSettings(300), (100,), thresholds=(1.0,), photographs=NAMES, clicks=2)


@pytest.fixture(autouse=True)
def photographs(monkeypatch):
    small = smaller(read_photographs(NAMES))
    for module in (run, report):
        monkeypatch.setattr(module, "read_photographs", lambda names: small)
    return small


def seen(truth) -> AttentionMaps:
    """The attention of a model that sees the objects: every place looks at those of the same object."""
    height, width = truth.shape
    rows = (torch.arange(GRID) * 2 + 1) * height // (2 * GRID)
    columns = (torch.arange(GRID) * 2 + 1) * width // (2 * GRID)
    objects = torch.from_numpy(truth)[rows][:, columns].flatten()
    alike = (objects[:, None] == objects[None]).float() + 0.001
    return AttentionMaps({(GRID, GRID): (alike / alike.sum(1, keepdim=True))[None]})


def blind(image: torch.Tensor, settings: CaptureSettings) -> AttentionMaps:
    """The attention of a model that sees nothing."""
    generator = torch.Generator().manual_seed(settings.noise_level)
    logits = torch.randn(1, GRID**2, GRID**2, generator=generator)
    return AttentionMaps({(GRID, GRID): logits.softmax(-1)})


def test_a_model_that_sees_objects_is_better_than_colours_and_one_that_sees_nothing_is_not(photographs):
    def sees(image, settings):
        truth = next(each.truth for each in photographs if each.images.colours is image)
        return seen(truth) if settings.noise_level == 100 else blind(image, settings)

    steps = []
    good = Check(sees, MODEL, PLAN, lambda *step: steps.append(step)).run()
    best = best_trial(good)
    assert best.capture.noise_level == 100
    assert choose(good)["beats_colours"]
    assert mean_of(good.rows[best].figures.values()).score > 0.75
    chosen, default = (
        click_means(good.rows[trial].clicks.values(), most=2) for trial in (best, good.default)
    )
    assert chosen["to_85"] < default["to_85"]
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    assert report.draw_sheet(good).size == (960, 240)

    poor = Check(blind, MODEL, PLAN).run()
    assert not choose(poor)["beats_colours"]


def test_blocks_of_a_transformer_are_tried_at_the_best_noise_level():
    tried = []

    def capture(image, settings):
        tried.append((settings.noise_level, settings.layers))
        if settings.layers == "all":
            raise torch.OutOfMemoryError("too much")
        return blind(image, settings)

    plan = replace(PLAN, thresholds=(), blocks=("middle third", "all"))
    results = Check(capture, MODEL, plan).run()
    best = best_trial(results).capture
    assert {blocks for level, blocks in tried if level == best.noise_level} >= {"middle third", "all"}
    assert [trial.capture.layers for trial in results.of("capture")] == ["all"]
    assert results.is_complete
    assert json.loads(as_json(record(results, "1")))["rows"][-1]["error"] == "OutOfMemoryError"
    assert "layers all failed: too much" in as_text(results, "1")
    check_measured(results)


def test_the_evidence_of_the_model_is_the_default_and_is_tried_first():
    def capture(image, settings):
        features = torch.randn(1, 3, GRID, GRID, generator=torch.Generator().manual_seed(1)).half()
        noise = torch.rand(1, GRID**2, GRID**2, generator=torch.Generator().manual_seed(2))
        return AttentionMaps({(GRID, GRID): noise.softmax(-1)}, features, evidence="features")

    plan = replace(PLAN, noise_levels=(), thresholds=(), photographs=("coffee",), clicks=1)
    results = Check(capture, MODEL, plan).run()
    assert not results.of("capture")
    assert results.default.evidence == "features"
    assert [trial.evidence for trial in results.of("hierarchy")] == ["features", "attention", "both"]


def test_what_was_measured_can_be_read_after_an_interrupt():
    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    check = Check(blind, MODEL, PLAN, stop)
    with pytest.raises(KeyboardInterrupt):
        check.run()
    assert [len(each.figures) for each in check.results.rows.values()] == [2, 2]
    assert not check.results.is_complete
    assert "ended before all was tried" in as_text(check.results, "1")


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (CaptureError("Expected layers, got none."), CaptureError, "Expected layers, got none."),
        (RuntimeError("no such kernel"), CaptureError, "got RuntimeError: no such kernel"),
        (MemoryError("of 1 TB"), CaptureError, "got MemoryError: of 1 TB"),
    ],
)
def test_a_model_that_never_serves_is_told(raised, kind, told):
    def capture(image, settings):
        raise raised

    results = Check(capture, MODEL, PLAN).run()
    assert len(results.of("capture")) == 2
    assert len(results.rows[COLOURS].figures) == 3
    with pytest.raises(kind, match=told):
        check_measured(results)


def test_an_error_of_ours_is_no_setting_that_fails_and_too_little_memory_is(monkeypatch):
    def check(raised):
        def fails(*_, **__):
            raise raised

        with monkeypatch.context() as patch:
            patch.setattr("diffseg_core.benchmark.run.segment_hierarchy", fails)
            return Check(blind, MODEL, PLAN).run()

    for kind in (TypeError, AttributeError, KeyError, ZeroDivisionError):
        with pytest.raises(kind, match="ours"):
            check(kind("ours"))
    results = check(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert [trial.capture for trial in results.of("capture")] == list(PLAN.captures)
