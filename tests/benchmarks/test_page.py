"""The record of benchmarks, and the page that shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from diffseg_benchmarks import page, record
from diffseg_benchmarks.beside_reference import BesideReference, find_reference
from diffseg_benchmarks.captured_step import CapturedStep
from diffseg_benchmarks.demo_model import DemoModel
from diffseg_benchmarks.large_images import LargeImageRow
from diffseg_benchmarks.machine import Occasion, occasion
from diffseg_benchmarks.record import Measured, Record
from diffseg_benchmarks.scaling import ScalingRow
from diffseg_benchmarks.timing import Spread
from diffseg_benchmarks.workers import Compute

DOCS = Path(__file__).resolve().parents[2] / "docs"
TODAY = Occasion(
    "2026-05-04", "abc1234", "Fast CPU", 2, 24 * 2**30, None, 2, "2.14.1", "3.11.7", "Linux x86_64"
)
EARLIER = replace(TODAY, date="2026-01-02", processor="Slow CPU", commit=None, memory=None)
STEP = CapturedStep(Spread(0.636, 0.6, 0.77, 5), 3.9, 2.5)
REFERENCE = BesideReference(
    Spread(28.64, 26.8, 33.1, 5),
    Spread(9.5, 9.0, 9.9, 5),
    0.149,
    4.27,
    143_000_000,
    1_664_000_000,
    0.9998,
    "TF 2",
)
ROWS = (
    ScalingRow(
        "base", "64×64 grid", Spread(1.0, 0.97, 1.04, 5), 0.149, 0.05, 0.094, 143_000_000, 72_000_000, 25
    ),
    ScalingRow("grid", "32×32", Spread(0.08, 0.07, 0.09, 5), 0.012, 0.004, 0.008, 28_600_000, 4_500_000, 23),
    ScalingRow("image", "1024×1024", Spread(2.0, 1.9, 2.1, 5), 0.3, 0.05, 0.2, None, 72_000_000, 25),
)
DEMO = DemoModel(Spread(0.8, 0.75, 0.9, 5), {"encoding": 0.6, "merging": 0.2}, 600, 400, "40×56", 6)
LARGE = (
    LargeImageRow("refine", 7, Spread(0.12, 0.1, 0.14, 5), 1.25, 10.4, 4.1, 96_000_000, 0.4),
    LargeImageRow("segment", 7, None, 0.5, None, 3.9, None, 0.2),
)
FULL = Record(*(Measured(result, TODAY) for result in (STEP, REFERENCE, ROWS, LARGE, DEMO)))


def test_ratios_come_first_in_every_table() -> None:
    text = page.render(FULL)
    for line in (
        "| **0.64** (0.60 to 0.77) | 2.50 s | 3.90 s |",
        "| refine | 7 | **0.12** (0.10 to 0.14) | 1.25 s | 10.40 s | 96 MB | 4.1 × | 0.40 s |",
        "| segment | 7 |  | 0.50 s |  | not known (Linux only) | 3.9 × | 0.20 s |",
        "| time | **28.6** (26.8 to 33.1) | 4.27 s | 0.15 s |",
        "| peak memory above the maps | **11.6** | 1,664 MB | 143 MB |",
        "| 32×32 | **0.08** (0.07 to 0.09) | **0.20** | 12 ms | 8 ms | 29 MB | 4 MB | 23 |",
        "| 1024×1024 | **2.00** (1.90 to 2.10) | **not known** | 0.30 s | 0.20 s | "
        "not known (Linux only) | 72 MB | 25 |",
        "| encoding | **75%** | 0.60 s |",
    ):
        assert f"\n{line}\n" in text
    assert "That one takes **0.15 s** (50 ms of" in text
    assert "99.98% of the pixels" in text
    assert "**0.80 s** (0.75 s to 0.90 s): 1.25 images" in text


def test_series_that_were_not_measured_are_left_out() -> None:
    text = page.scaling(ROWS)
    assert "### Grid" in text
    assert "### Anchors" not in text


def test_the_heading_names_the_machine_and_an_earlier_result_its_own() -> None:
    text = page.render(replace(FULL, reference=Measured(REFERENCE, EARLIER)))
    assert "\n| machine | Fast CPU, 2 cores, 24 GiB |\n" in text
    assert "\n| measured | 2026-05-04, commit abc1234 |\n" in text
    assert text.count("Recorded") == 1
    assert (
        "\nRecorded 2026-01-02 on Slow CPU, 2 cores; torch 2.14.1, 2 threads, float32, Python 3.11.7, "
        "Linux x86_64.\n\n## How time" in text
    )


def test_the_page_says_that_no_gpu_was_measured_until_one_was() -> None:
    gpu = replace(TODAY, accelerator="Big GPU")
    assert "from CPUs so far" in page.render(FULL)
    text = page.render(Record(captured_step=Measured(STEP, gpu)))
    assert "from CPUs so far" not in text
    assert "Fast CPU, 2 cores, 24 GiB, Big GPU" in text


def test_without_a_reference_the_page_tells_how_to_name_one() -> None:
    assert "set `DIFFSEG_REFERENCE`" in page.render(Record())


@pytest.mark.parametrize("kept", [FULL, Record(), replace(FULL, scaling=None)])
def test_a_record_comes_back_as_it_was_saved(kept: Record, tmp_path: Path) -> None:
    record.save(kept, tmp_path / "docs" / "benchmarks.json")
    assert record.load(tmp_path / "docs" / "benchmarks.json") == kept
    assert record.load(tmp_path / "none.json") == Record()


def test_the_page_in_docs_shows_the_record_beside_it() -> None:
    shown = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert shown == page.render(record.load(DOCS / "benchmarks.json"))


def test_the_occasion_is_of_this_machine() -> None:
    here = occasion(Compute(threads=3))
    assert here.threads == 3
    assert here.cores >= 1
    assert here.accelerator is None
    assert here.processor


def test_the_reference_is_what_the_environment_names(tmp_path: Path) -> None:
    assert find_reference({}) is None
    environ = {"DIFFSEG_REFERENCE": str(tmp_path), "DIFFSEG_REFERENCE_PYTHON": "python-with-tensorflow"}
    with pytest.raises(FileNotFoundError, match=r"no diffseg/segmentor\.py"):
        find_reference(environ)
    (tmp_path / "diffseg").mkdir()
    (tmp_path / "diffseg" / "segmentor.py").touch()
    found = find_reference(environ)
    assert found is not None
    assert (found.folder, found.python) == (tmp_path.resolve(), "python-with-tensorflow")
