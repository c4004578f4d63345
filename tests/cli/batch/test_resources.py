"""How many workers a cluster takes, and what each has."""

from __future__ import annotations

import pytest

from diffseg_cli.batch.ray_cluster import WorkerPlan, plan_workers


def machine(cpus: float, gpus: float = 0) -> dict[str, float]:
    return {"CPU": cpus, "memory": 1e9, **({"GPU": gpus} if gpus else {})}


@pytest.mark.parametrize(
    ("machines", "given", "expected"),
    [
        ([machine(16)], {}, WorkerPlan(4, 4, 0)),
        ([machine(2)], {}, WorkerPlan(1, 2, 0)),
        ([machine(6), machine(6), machine(3)], {}, WorkerPlan(2, 4, 0)),
        ([machine(16)], {"workers": 3}, WorkerPlan(3, 5, 0)),
        ([machine(6), machine(6)], {"workers": 3}, WorkerPlan(3, 3, 0)),
        ([machine(2)], {"workers": 4}, WorkerPlan(4, 1, 0)),
        ([machine(16)], {"cpus_per_worker": 6}, WorkerPlan(2, 6, 0)),
        ([machine(16)], {"workers": 2, "cpus_per_worker": 3}, WorkerPlan(2, 3, 0)),
        ([machine(16, gpus=2)], {}, WorkerPlan(2, 8, 1)),
        ([machine(16, gpus=2), machine(8), machine(4, gpus=2)], {}, WorkerPlan(4, 2, 1)),
        ([machine(16, gpus=4)], {"workers": 1}, WorkerPlan(1, 16, 1)),
        ([machine(1, gpus=4)], {}, WorkerPlan(1, 1, 1)),
        ([machine(16, gpus=2)], {"use_gpus": False}, WorkerPlan(4, 4, 0)),
        ([machine(0)], {}, WorkerPlan(1, 1, 0)),
    ],
)
def test_workers_of_a_cluster(machines, given, expected):
    assert plan_workers(machines, **given) == expected
