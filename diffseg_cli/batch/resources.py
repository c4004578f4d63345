"""How many workers a cluster takes, and what each of them has for itself.

A worker holds a model, so there is one on each GPU. Without GPUs a few CPUs make one worker: a model runs
well on several, and each more takes memory for a model of its own.

>>> plan_workers([{"CPU": 32.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 2.0}])
WorkerPlan(workers=4, cpus=8, gpus=1)
>>> plan_workers([{"CPU": 16.0}])
WorkerPlan(workers=4, cpus=4, gpus=0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEFAULT_CPUS = 4  # of a worker without a GPU


@dataclass(frozen=True)
class WorkerPlan:
    """The workers of a run.

    Attributes:
        workers: how many, ≥ 1; there may be more than have room now.
        cpus: CPUs of each, ≥ 1.
        gpus: GPUs of each, 0 or 1.
    """

    workers: int
    cpus: int
    gpus: int

    def capacity(self, machines: Sequence[Mapping[str, float]]) -> int:
        """How many of the workers the machines take."""
        return min(self.workers, _capacity(machines, self.cpus, self.gpus))


def plan_workers(
    machines: Sequence[Mapping[str, float]],
    workers: int | None = None,
    cpus_per_worker: int | None = None,
    use_gpus: bool = True,
) -> WorkerPlan:
    """The workers that suit a cluster.

    Args:
        machines: what each has, by Ray's names: "CPU", "GPU".
        workers: how many, ≥ 1. None is one on each GPU, or without GPUs as many as have ``cpus_per_worker``.
        cpus_per_worker: ≥ 1. None is an equal share for each worker; or, without GPUs and with ``workers``
            left open too, 4 (fewer where no machine has 4).
        use_gpus: whether each worker takes a GPU, where there are any.
    """
    gpus = int(use_gpus and any(machine.get("GPU", 0) >= 1 for machine in machines))
    largest = max((int(machine.get("CPU", 0)) for machine in machines), default=0)
    cpus = cpus_per_worker
    if cpus is None and not gpus and workers is None:
        cpus = max(1, min(DEFAULT_CPUS, largest))
    if workers is None:
        workers = max(1, _capacity(machines, cpus or 1, gpus))
    if cpus is None:
        cpus = next((size for size in range(largest, 1, -1) if _capacity(machines, size, gpus) >= workers), 1)
    return WorkerPlan(workers, cpus, gpus)


def _capacity(machines: Sequence[Mapping[str, float]], cpus: int, gpus: int) -> int:
    """How many workers of that many CPUs and GPUs the machines take."""
    needs = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    return sum(min(int(machine.get(name, 0) // need) for name, need in needs.items()) for machine in machines)
