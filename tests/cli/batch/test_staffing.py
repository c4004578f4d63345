"""How many workers a cluster takes, and what each has."""

from __future__ import annotations

import pytest

from diffseg_cli.batch.staffing import Staffing, staff


def machine(cpus: float, gpus: float = 0) -> dict[str, float]:
    return {"CPU": cpus, "memory": 1e9, **({"GPU": gpus} if gpus else {})}


@pytest.mark.parametrize(
    ("machines", "given", "expected"),
    [
        ([machine(16)], {}, Staffing(4, 4, 0)),
        ([machine(2)], {}, Staffing(1, 2, 0)),
        ([machine(6), machine(6), machine(3)], {}, Staffing(2, 4, 0)),
        ([machine(16)], {"workers": 3}, Staffing(3, 5, 0)),
        ([machine(6), machine(6)], {"workers": 3}, Staffing(3, 3, 0)),
        ([machine(2)], {"workers": 4}, Staffing(4, 1, 0)),
        ([machine(16)], {"cpus_per_worker": 6}, Staffing(2, 6, 0)),
        ([machine(16)], {"workers": 2, "cpus_per_worker": 3}, Staffing(2, 3, 0)),
        ([machine(16, gpus=2)], {}, Staffing(2, 8, 1)),
        ([machine(16, gpus=2), machine(8), machine(4, gpus=2)], {}, Staffing(4, 2, 1)),
        ([machine(16, gpus=4)], {"workers": 1}, Staffing(1, 16, 1)),
        ([machine(1, gpus=4)], {}, Staffing(1, 1, 1)),
        ([machine(16, gpus=2)], {"use_gpus": False}, Staffing(4, 4, 0)),
        ([machine(0)], {}, Staffing(1, 1, 0)),
    ],
)
def test_workers_of_a_cluster(machines, given, expected):
    assert staff(machines, **given) == expected


def test_room_is_for_no_more_than_the_machines_take():
    assert Staffing(4, 1, 0).room([machine(2)]) == 2
    assert Staffing(2, 1, 0).room([machine(8)]) == 2
    assert Staffing(4, 2, 1).room([machine(8, gpus=1), machine(3, gpus=2), machine(8)]) == 2
