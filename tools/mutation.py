"""Whether a wrong change to the core would be seen: run the tests on changed modules, one change at a time.

Every change is tried in a process of its own, forked from one that has PyTorch loaded. The files stay as
they are: the changed source takes the module's place as it is imported. ``build/mutation`` holds what came
out, and the next run goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn

from .mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "mutation"
EQUIVALENT = Path(__file__).with_name("mutation_equivalent.txt")

GOLDEN = "test_golden_nested.py"
MODULES = {
    "tree": ("hierarchy/test_cuts.py", "hierarchy/test_hierarchy.py"),
    "hierarchy/tree_building": ("hierarchy/test_tree_building.py", "hierarchy/test_hierarchy.py", GOLDEN),
    "hierarchy/segment_hierarchy": (
        "hierarchy/test_segment_hierarchy.py",
        "hierarchy/test_hierarchy.py",
        GOLDEN,
    ),
    "image/boundary_contrast": ("image/test_boundary_contrast.py", "hierarchy/test_tree_building.py"),
    "image/colour_histograms": ("image/test_colour_histograms.py", "hierarchy/test_hierarchy.py"),
    "image/smoothing": ("image/test_smoothing.py", GOLDEN),
    "image/watershed": ("image/test_watershed.py", "image/test_superpixels.py", GOLDEN),
    "image/pyramid": ("image/test_pyramid.py", "editing/test_large_images.py"),
    "image/superpixels": ("image/test_superpixels.py", "hierarchy/test_segment_hierarchy.py", GOLDEN),
    "objects/points": ("objects/test_points.py", "test_protocol.py"),
    "editing/edge_refinement": (
        "editing/test_edge_terms.py",
        "editing/test_edge_refinement.py",
        "editing/test_large_images.py",
        GOLDEN,
    ),
    "editing/soft_masks": (
        "editing/test_edge_terms.py",
        "editing/test_edge_refinement.py",
        "editing/test_large_images.py",
        GOLDEN,
    ),
    "merging/merge": (
        "merging/test_merge.py",
        "merging/test_kmeans.py",
        "merging/test_segment.py",
        "test_golden.py",
    ),
    "merging/segment": ("merging/test_suppression.py", "merging/test_segment.py", "test_golden.py"),
    "attention/text": ("attention/test_text.py",),
    "words/lines": ("words/test_words.py",),
    "words/token_places": ("words/test_token_places.py",),
    "words/scores": ("words/test_scores.py", "words/test_leaf_choice.py", "words/test_find_words.py"),
    "words/find_words": ("words/test_find_words.py",),
}
"""Modules of the core, and the tests in tests/core that hold each, the quick ones first."""

PRELOADED = (
    "torch.distributed.tensor",  # of torch.testing
    "scipy.optimize",
    "scipy.ndimage",
    "scipy.spatial",
    "skimage.segmentation",
    "skimage.data",
    "pytest",
)
"""What takes long to import and holds nothing of the core."""

SPARE_SECONDS, SPARE_FACTOR = 20.0, 4.0
"""How long the tests of a mutant may take: longer, and by how many times, than those of the module itself."""


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a mutant: ``killed``, ``timed out``, ``survived`` or ``equivalent``."""

    result: str
    seconds: float


class _Source(importlib.machinery.SourceFileLoader):
    """Loads a module from a text in place of its file."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        super().__init__(name, str(path))
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """Compiled anew: nothing is read from, or written to, a cache."""
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the one module that is replaced."""

    def __init__(self, loader: _Source) -> None:
        self._loader = loader

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        """The module's place, or None."""
        if fullname != self._loader.name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self._loader, origin=self._loader.path)


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 where no mutant survived but those that are known to change no result."""
    parser = argparse.ArgumentParser(description="Try the tests on small wrong changes to the core.")
    parser.add_argument("--module", action="append", choices=MODULES, help="only this; may be repeated")
    parser.add_argument("--sample", type=int, help="only so many mutants of each module, chosen by chance")
    parser.add_argument("--seed", type=int, default=0, help="of that choice")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    chosen = parser.parse_args(arguments)
    for name in PRELOADED:
        importlib.import_module(name)
    OUT.mkdir(parents=True, exist_ok=True)
    survived = False
    print(f"{'module':28}{'mutants':>8}{'killed':>8}{'timed out':>11}{'equivalent':>12}{'survived':>10}")
    for module in chosen.module or MODULES:
        counts = _run(module, chosen.sample, chosen.seed, chosen.jobs)
        results = ("killed", "timed out", "equivalent", "survived")
        columns = [f"{counts[name]:>{width}}" for name, width in zip(results, (8, 11, 12, 10), strict=True)]
        print(f"{module:28}{counts.total():>8}{''.join(columns)}", flush=True)
        survived |= counts["survived"] > 0
    if survived:
        print(f"What survived is in {OUT.relative_to(ROOT)}/*.diff.")
    return int(survived)


def _run(module: str, sample: int | None, seed: int, jobs: int) -> Counter[str]:
    path = ROOT / "diffseg_core" / f"{module}.py"
    mutants = mutants_of(path.read_text("utf-8"), f"diffseg_core/{module}.py")
    if sample is not None and sample < len(mutants):
        mutants = random.Random(seed).sample(mutants, sample)
    tests = [ROOT / "tests" / "core" / name for name in MODULES[module]]
    # What was killed stays so; what survived is tried again when there are other tests.
    state = hashlib.sha1(b"".join(test.read_bytes() for test in tests)).hexdigest()[:12]
    record = OUT / f"{module.replace('/', '.')}.jsonl"
    outcomes = _known(record, state)
    equivalent = known_equivalent(EQUIVALENT.read_text("utf-8")).get(module, [])
    for mutant in mutants:
        if _is_equivalent(mutant, equivalent):
            outcomes[mutant.name] = Outcome("equivalent", 0.0)
    left = [mutant for mutant in mutants if mutant.name not in outcomes]
    if left:
        limit = _time_limit(module, path, tests)
        with record.open("a", encoding="utf-8") as file:
            for mutant, outcome in _tried(left, module, path, tests, limit, jobs):
                outcomes[mutant.name] = outcome
                line = {"mutant": mutant.name, "tests": state, "result": outcome.result}
                line |= {"line": mutant.line, "before": mutant.before, "after": mutant.after}
                print(json.dumps(line | {"seconds": round(outcome.seconds, 1)}), file=file, flush=True)
    survivors = [mutant for mutant in mutants if outcomes[mutant.name].result == "survived"]
    record.with_suffix(".diff").write_text("".join(f"{mutant.diff}\n\n" for mutant in survivors), "utf-8")
    return Counter(outcomes[mutant.name].result for mutant in mutants)


def _known(record: Path, state: str) -> dict[str, Outcome]:
    """What earlier runs found."""
    known = {}
    for line in record.read_text("utf-8").splitlines() if record.exists() else []:
        entry = json.loads(line)
        if entry["result"] != "survived" or entry["tests"] == state:
            known[entry["mutant"]] = Outcome(entry["result"], entry["seconds"])
    return known


def known_equivalent(text: str) -> dict[str, list[tuple[str, str]]]:
    """The changes of each module that change no result, as ``mutation_equivalent.txt`` lists them.

    Returns:
        for every module the line as it is and the changed one, ``*`` for any change of it.
    """
    equivalent: dict[str, list[tuple[str, str]]] = {}
    module, before = "", ""
    for line in text.splitlines():
        if line.startswith("["):
            module = line.strip("[] ")
        elif line.startswith("- "):
            before = line[2:].strip()
        elif line.startswith("+ "):
            equivalent.setdefault(module, []).append((before, line[2:].strip()))
    return equivalent


def _is_equivalent(mutant: Mutant, known: list[tuple[str, str]]) -> bool:
    return any(mutant.before == before and after in (mutant.after, "*") for before, after in known)


def _time_limit(module: str, path: Path, tests: list[Path]) -> float:
    """How long the tests of a mutant may take, from those of the module as it is.

    Raises:
        SystemExit: its tests fail.
    """
    start = time.monotonic()
    child = _start(module, path, path.read_text("utf-8"), tests)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        names = " ".join(str(test.relative_to(ROOT)) for test in tests)
        raise SystemExit(f"Expected tests that pass on {path.name} as it is. See: pytest {names}")
    return SPARE_SECONDS + SPARE_FACTOR * (time.monotonic() - start)


def _tried(mutants: list[Mutant], module: str, path: Path, tests: list[Path], limit: float, jobs: int) -> Any:
    """Every mutant with its outcome, as they come."""
    waiting = mutants[::-1]
    running: dict[int, tuple[Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[_start(module, path, mutant.source, tests)] = mutant, time.monotonic()
        for child, (mutant, start) in [*running.items()]:
            seconds = time.monotonic() - start
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                result = "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
            elif seconds > limit:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                result = "timed out"
            else:
                continue
            del running[child]
            yield mutant, Outcome(result, seconds)
        time.sleep(0.02)


def _start(module: str, path: Path, source: str, tests: list[Path]) -> int:
    """Run tests with the source in place of the module's, in a process that has its number as its group's."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        _test(f"diffseg_core.{module.replace('/', '.')}", path, source, tests)
    return child


def _test(name: str, path: Path, source: str, tests: list[Path]) -> NoReturn:
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        import pytest
        import torch

        torch.set_num_threads(1)
        sys.meta_path.insert(0, _Finder(_Source(name, path, source)))
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
