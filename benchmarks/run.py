"""Everything that `make bench` measures, in one run: ``benchmarks/run.py [--quick] [--only NAME ...]``.

Each section is printed when it is known, and docs/benchmarks.md is written anew, with docs/benchmarks.json
beside it. What is left out keeps its last result on the page.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffseg_benchmarks import (
    beside_reference,
    captured_step,
    demo_model,
    large_images,
    page,
    record,
    scaling,
)
from diffseg_benchmarks.machine import ROOT, occasion
from diffseg_benchmarks.record import Measured, Record
from diffseg_benchmarks.workers import Compute
from diffseg_tools.environment import NEWEST, comfyui_directory

PAIRS, QUICK_PAIRS = 5, 3


def main() -> None:
    """Measure, print and write."""
    arguments = _arguments()
    compute = Compute(arguments.threads, arguments.device)
    today = occasion(compute)
    data, shown = arguments.out / "benchmarks.json", arguments.out / "benchmarks.md"
    kept = Record() if arguments.quick else record.load(data)
    print(f"{today.machine}; {today.software}", flush=True)
    benchmarks = _benchmarks(compute, arguments.quick)
    for name in [name for name in page.SECTIONS if name in benchmarks and name in arguments.only]:
        result = benchmarks[name]()
        print(page.SECTIONS[name](result), flush=True)
        kept = replace(kept, **{name: Measured(result, today)})
        if not arguments.quick:
            record.save(kept, data)
            shown.write_text(page.render(kept), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure time and memory, and write docs/benchmarks.md.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one for each CPU")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda, cuda:1 …")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and pairs; writes nothing")
    parser.add_argument("--only", nargs="+", choices=list(page.SECTIONS), default=list(page.SECTIONS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="default: docs")
    return parser.parse_args()


def _benchmarks(compute: Compute, quick: bool) -> dict[str, Callable[[], Any]]:
    """What measures each section, by its name; without the reference where there is none."""
    pairs = QUICK_PAIRS if quick else PAIRS
    cases = scaling.QUICK if quick else scaling.CASES
    benchmarks: dict[str, Callable[[], Any]] = {
        "captured_step": lambda: captured_step.measure(compute, comfyui_directory(NEWEST), pairs),
        "scaling": lambda: _scaling(cases, compute, pairs),
        "large_images": lambda: large_images.measure(compute, pairs),
        "demo_model": lambda: demo_model.measure(compute, pairs),
    }
    reference = beside_reference.find_reference(os.environ)
    if reference is None:
        print("No reference implementation: DIFFSEG_REFERENCE names no checkout of google/diffseg.")
    else:
        benchmarks["reference"] = lambda: beside_reference.measure(reference, compute, pairs)
    return benchmarks


def _scaling(cases: Sequence[scaling.Case], compute: Compute, pairs: int) -> tuple[scaling.ScalingRow, ...]:
    """Measure, and tell on the way how far it is."""
    rows: list[scaling.ScalingRow] = []
    for row in scaling.measure(cases, compute, pairs):
        rows.append(row)
        print(f"{len(rows)} of {len(cases)}: {row.series}, {row.name}", file=sys.stderr, flush=True)
    return tuple(rows)


if __name__ == "__main__":
    main()
