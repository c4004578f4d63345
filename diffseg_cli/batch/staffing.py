"""How many workers a cluster takes, and what each of them has for itself.

A worker holds a model, so there is one on each GPU. Without GPUs a few CPUs make one worker: a model runs
well on several, and each more takes memory for a model of its own.

>>> staff([{"CPU": 32.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 2.0}])
Staffing(workers=4, cpus=8, gpus=1)
>>> staff([{"CPU": 16.0}])
Staffing(workers=4, cpus=4, gpus=0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

USUAL_CPUS = 4  # of a worker without a GPU


@dataclass(frozen=True)
class Staffing:
    """The workers of a run.

    Attributes:
        workers: how many, ≥ 1; there may be more than have room now.
        cpus: CPUs of each, ≥ 1.
        gpus: GPUs of each, 0 or 1.
    """

    workers: int
    cpus: int
    gpus: int

    def room(self, machines: Sequence[Mapping[str, float]]) -> int:
        """How many of the workers the machines take."""
        return min(self.workers, _room(machines, self.cpus, self.gpus))


def staff(
    machines: Sequence[Mapping[str, float]],
    workers: int | None = None,
    cpus_per_worker: int | None = None,
    use_gpus: bool = True,
) -> Staffing:
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
        cpus = max(1, min(USUAL_CPUS, largest))
    if workers is None:
        workers = max(1, _room(machines, cpus or 1, gpus))
    if cpus is None:
        cpus = next((size for size in range(largest, 1, -1) if _room(machines, size, gpus) >= workers), 1)
    return Staffing(workers, cpus, gpus)


def _room(machines: Sequence[Mapping[str, float]], cpus: int, gpus: int) -> int:
    """How many workers of that many CPUs and GPUs the machines take."""
    needs = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    return sum(min(int(machine.get(name, 0) // need) for name, need in needs.items()) for machine in machines)
