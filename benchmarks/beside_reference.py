"""Aggregation and segmentation beside the reference implementation's, on the same tensors.

The environment variable DIFFSEG_REFERENCE names a folder with https://github.com/google/diffseg, and
DIFFSEG_REFERENCE_PYTHON an interpreter that has TensorFlow and scikit-learn (this one if unset).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from scipy.optimize import linear_sum_assignment

from diffseg_core.benchmark.measures import dense_contingency, sparse_contingency

from .segmentation_worker import WorkerSettings
from .synthetic import Scene
from .timing import Spread, ratios
from .workers import Compute, Reference, highest_peak, save_scene, worker


@dataclass(frozen=True)
class BesideReference:
    """The reference's figures over ours.

    Attributes:
        time: ratios of wall time.
        processor: ratios of processor time, over all threads.
        our_seconds, their_seconds: medians, from maps to labels.
        our_peak, their_peak: bytes above the inputs, the highest of all runs; None where not known.
        agreeing: share of the pixels that are in the same segment in both.
        library: what the reference computes with.
    """

    time: Spread
    processor: Spread
    our_seconds: float
    their_seconds: float
    our_peak: int | None
    their_peak: int | None
    agreeing: float
    library: str


def find_reference(environ: Mapping[str, str]) -> Reference | None:
    """The reference implementation that the environment names, or None.

    Raises:
        FileNotFoundError: what is named is not there.
    """
    if not environ.get("DIFFSEG_REFERENCE"):
        return None
    folder = Path(environ["DIFFSEG_REFERENCE"]).expanduser().resolve()
    if not (folder / "diffseg" / "segmentor.py").is_file():
        raise FileNotFoundError(
            f"DIFFSEG_REFERENCE is {folder}, which has no diffseg/segmentor.py: "
            "name a checkout of https://github.com/google/diffseg."
        )
    return Reference(folder, environ.get("DIFFSEG_REFERENCE_PYTHON") or sys.executable)


def measure(reference: Reference, compute: Compute, pairs: int) -> BesideReference:
    """Run both in turn on a 64×64 grid with 16×16 anchors, to labels of 512×512."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        save_scene(Scene(), inputs)
        settings = WorkerSettings()
        with (
            worker(inputs, settings, compute) as ours,
            worker(inputs, settings, compute, reference) as theirs,
        ):
            first = (ours.run(), theirs.run())  # also loads libraries: left out of the times
            runs = [(ours.run(), theirs.run()) for _ in range(pairs)]
            sparse = sparse_contingency(theirs.labels(), ours.labels())
            table = dense_contingency(sparse, *sparse[:, :2].max(axis=0) + 1)
            library = theirs.library
    our_runs, their_runs = zip(*runs, strict=True)
    return BesideReference(
        time=ratios([run.total for run in their_runs], [run.total for run in our_runs]),
        processor=ratios(
            [run.seconds["processor"] for run in their_runs], [run.seconds["processor"] for run in our_runs]
        ),
        our_seconds=median(run.total for run in our_runs),
        their_seconds=median(run.total for run in their_runs),
        our_peak=highest_peak([first[0], *our_runs]),
        their_peak=highest_peak([first[1], *their_runs]),
        agreeing=float(table[linear_sum_assignment(-table)].sum() / table.sum()),
        library=library,
    )
