"""A cluster of Ray's: started on this machine for a while, or joined, and how many workers it takes.

A worker holds a model, so there is one on each GPU. Without GPUs a few CPUs make one worker: a model runs
well on several, and each more takes memory for a model of its own.

>>> plan_workers([{"CPU": 32.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 2.0}])
WorkerPlan(workers=4, cpus=8, gpus=1)
>>> plan_workers([{"CPU": 16.0}])
WorkerPlan(workers=4, cpus=4, gpus=0)
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .executor import ExecutorError, in_one_line

LOCAL = "local"
DEFAULT_CPUS = 4  # of a worker without a GPU
CONNECT_WITHIN = 10.0  # seconds; Ray itself would try for many minutes
OBJECT_STORE = 100 * 2**20  # bytes; nothing large is sent
MAX_TEMPORARY = 35  # characters of a folder below which Ray's sockets have names that are short enough
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what Ray prints on every worker that dies
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning of Ray's about its own future
}


def import_ray() -> ModuleType:
    """Ray, with as little to print as it lets itself be told.

    Raises:
        ExecutorError: it is not installed.
    """
    try:
        with _environment(QUIET):
            import ray
    except ImportError as error:
        raise ExecutorError(
            "Expected Ray for a run of many processes, but it is not installed: "
            f'pip install "diffseg[ray]" ({error}).'
        ) from error
    return ray


@contextmanager
def connected(ray: ModuleType, address: str | None) -> Iterator[None]:
    """Start or join a cluster for a while, unless Ray is connected already.

    Raises:
        ExecutorError: the cluster cannot be started or reached, or Ray is connected to another.
    """
    is_connected = ray.is_initialized()
    if is_connected and address not in (None, "auto"):
        raise ExecutorError(f"Expected to connect to a cluster at {address}, but Ray is connected already.")
    if not is_connected:
        _connect(ray, address or LOCAL)
    try:
        yield
    finally:
        if not is_connected:
            ray.shutdown()


def _connect(ray: ModuleType, address: str) -> None:
    settings: dict[str, Any] = {"address": address}
    if address == LOCAL:
        settings |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE, **_temporary_folder()}
    try:
        _check_reachable(address)
        with _environment(QUIET):
            ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of any type: Ray has none for this
        ray.shutdown()
        where = "to start a cluster on this machine" if address == LOCAL else f"a cluster at {address}"
        raise ExecutorError(f"Expected {where}, but Ray could not connect: {in_one_line(error)}") from error


def _check_reachable(address: str) -> None:
    """Find out at once whether somebody is at "host:port".

    Raises:
        OSError: nobody answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_WITHIN).close()


def _temporary_folder() -> dict[str, str]:
    """A short one, where Ray would take one in which its sockets' names are too long for the system."""
    chosen = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR", "")
    return {"_temp_dir": "/tmp/ray"} if len(chosen) > MAX_TEMPORARY and sys.platform != "win32" else {}


def package_path() -> dict[str, str]:
    """What lets the workers find this package, where it is not installed: a clone."""
    folder = Path(__file__).resolve().parents[2]
    if folder.name in ("site-packages", "dist-packages"):
        return {}
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while, where they are not set already."""
    added = [name for name in variables if name not in os.environ]
    os.environ.update({name: variables[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


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
