"""An executor of many processes, on this machine or on the many of a cluster, by Ray (https://docs.ray.io).

What a cluster needs beforehand:

- images, model and output folder at the same paths on all machines: on storage that they share;
- DiffSeg, of one version, on all machines: installed, or as a clone on that storage from which the run is
  started. Ray itself sees to it that all have the same Ray and Python.

Each worker is a process with a model of its own, and has one task at a time; an idle one gets the next.
A process that dies (killed, out of memory, its machine lost) is replaced, and its task is done again: since
workers write their results whole or not at all, nothing is lost and nothing is there twice. A task at which
three processes died is given up.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from .executor import ExecutorError, Outcome, Task, Worker, attempt, in_one_line

LOCAL = "local"
DEFAULT_CPUS = 4  # of a worker without a GPU: a model runs well on several, and each worker takes memory
CONNECT_WITHIN = 10.0  # seconds; Ray itself would try for many minutes
OBJECT_STORE = 100 * 2**20  # bytes; nothing large is sent
MAX_TEMPORARY = 35  # characters of a folder below which Ray's sockets have names that are short enough
MAX_CRASHES = 3  # of workers at one task, or for each worker before it was ready
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what Ray prints on every worker that dies
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning of Ray's about its own future
}
GIVEN_UP = (
    f"{MAX_CRASHES} workers died at it, one after the other. Most likely it takes more memory than there is."
)


def run_with_ray(
    make_worker: Callable[[], Worker[Task]],
    tasks: Sequence[Task],
    address: str | None = None,
    workers: int | None = None,
    cpus_per_worker: int | None = None,
    use_gpus: bool = True,
) -> Iterator[Outcome]:
    """Share tasks out among processes, each with a worker of its own, see `Execute`.

    Where Ray is connected to a cluster already, as in a notebook, that cluster is used and kept. A cluster
    that the run starts is shut down after it.

    Args:
        make_worker: makes a worker.
        tasks: what to do.
        address: of the cluster: "auto" (the one on this machine), "host:port" (from one of its machines) or
            "ray://host:port" (from elsewhere; needs ``ray[client]``). None or "local" is a cluster of this
            machine alone, for this run.
        workers: how many, ≥ 1; None is one on each GPU, or without GPUs one for every 4 CPUs. More than have
            room wait until there is more.
        cpus_per_worker: ≥ 1, reserved for each, and the number of its threads; None is an equal share.
        use_gpus: whether each worker has a GPU for itself, where the cluster has any. The GPU is the only
            one that the worker sees: the device of its model is "auto" or "cuda", never "cuda:1".

    Raises:
        ExecutorError: Ray is not installed, the cluster cannot be reached, or workers die before they are
            ready.
    """
    if not tasks:
        return
    ray = import_ray()
    with connected(ray, address):
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        workers, cpus, gpus = plan_workers(machines, workers, cpus_per_worker, use_gpus)
        environment = {"OMP_NUM_THREADS": str(cpus), **_package_path()}
        actor_class = ray.remote(WorkerActor).options(
            num_cpus=cpus, num_gpus=gpus, runtime_env={"env_vars": environment}
        )
        yield from _shared_out(ray, actor_class, workers, make_worker, tasks)


class WorkerActor:
    """What runs in each process: a worker, and what became of its tasks."""

    def prepare(self, make_worker: Callable[[], Worker[Any]]) -> None:
        """Make the worker."""
        self._worker = make_worker()

    def do(self, task: Any) -> Outcome:
        """Do one task."""
        return attempt(self._worker, task)


def import_ray() -> ModuleType:
    """Ray, with as little to print as can be set.

    Raises:
        ExecutorError: it is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
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
        ExecutorError: the cluster cannot be started or reached.
    """
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"address": address or LOCAL}
    if settings["address"] == LOCAL:
        settings |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
        temporary = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR", "")
        if len(temporary) > MAX_TEMPORARY and sys.platform != "win32":
            settings["_temp_dir"] = "/tmp/ray"
    try:
        if settings["address"] not in (LOCAL, "auto"):
            host, _, port = settings["address"].removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=CONNECT_WITHIN).close()
        ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of any type: Ray has none for this
        ray.shutdown()
        is_local = settings["address"] == LOCAL
        wanted = "to start a cluster on this machine" if is_local else f"a cluster at {address}"
        raise ExecutorError(f"Expected {wanted}, but Ray could not connect: {in_one_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def plan_workers(
    machines: Sequence[Mapping[str, float]],
    workers: int | None = None,
    cpus: int | None = None,
    use_gpus: bool = True,
) -> tuple[int, int, int]:
    """How many workers suit a cluster, and how many CPUs and GPUs each has.

    Args:
        machines: what each has, by Ray's names: "CPU", "GPU".
        workers: how many, ≥ 1. None is one on each GPU, or without GPUs as many as have ``cpus``.
        cpus: of each, ≥ 1. None is an equal share for each worker; or, without GPUs and with ``workers`` left
            open too, 4 (fewer where no machine has 4).
        use_gpus: whether each worker takes a GPU, where there are any.

    >>> plan_workers([{"CPU": 32.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 2.0}])
    (4, 8, 1)
    >>> plan_workers([{"CPU": 16.0}])
    (4, 4, 0)
    """
    gpus = int(use_gpus and any(machine.get("GPU", 0) >= 1 for machine in machines))
    largest = max((int(machine.get("CPU", 0)) for machine in machines), default=0)

    def capacity(cpus: int) -> int:
        needs = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
        return sum(
            min(int(machine.get(name, 0) // need) for name, need in needs.items()) for machine in machines
        )

    if cpus is None and not gpus and workers is None:
        cpus = max(1, min(DEFAULT_CPUS, largest))
    if workers is None:
        workers = max(1, capacity(cpus or 1))
    if cpus is None:
        cpus = next((size for size in range(largest, 1, -1) if capacity(size) >= workers), 1)
    return workers, cpus, gpus


def _package_path() -> dict[str, str]:
    """What lets the workers find this package, where it is not installed: a clone."""
    folder = Path(__file__).resolve().parents[2]
    if folder.name in ("site-packages", "dist-packages"):
        return {}
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _shared_out(
    ray: ModuleType,
    actor_class: Any,
    workers: int,
    make_worker: Callable[[], Worker[Task]],
    tasks: Sequence[Task],
) -> Iterator[Outcome]:
    """Do the tasks with as many actors as there are workers; at the end all of their processes end."""
    waiting, crashes = deque(range(len(tasks))), Counter[int]()
    calls: dict[Any, tuple[Any, int | None]] = {}  # actor and task (None: it loads) by the result's reference
    idle: list[Any] = []
    lost_starts = 0  # since the last actor got ready
    try:
        while waiting or any(task is not None for _, task in calls.values()):
            while waiting and idle:
                actor, task = idle.pop(), waiting.popleft()
                calls[actor.do.remote(tasks[task])] = actor, task
            loading = sum(task is None for _, task in calls.values())
            for _ in range(min(len(waiting) - loading, workers - len(calls) - len(idle))):
                actor = actor_class.remote()
                calls[actor.prepare.remote(make_worker)] = actor, None
            for reference in ray.wait(list(calls))[0]:
                actor, started = calls.pop(reference)
                try:
                    outcome = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:
                    ray.kill(actor)  # where it is only out of reach
                    if started is None:
                        lost_starts += 1
                        _check_starts(error, lost_starts, workers)
                        continue
                    crashes[started] += 1
                    if crashes[started] < MAX_CRASHES:
                        waiting.append(started)
                    else:
                        yield Outcome(str(tasks[started]), f"{GIVEN_UP} Ray says: {_first_line(error)}")
                    continue
                idle.append(actor)
                if started is None:
                    lost_starts = 0
                else:
                    yield outcome
    finally:
        for actor in [*idle, *(actor for actor, _ in calls.values())]:
            ray.kill(actor)


def _check_starts(error: Exception, lost_starts: int, workers: int) -> None:
    """End a run whose workers cannot import DiffSeg, or die one after the other before they are ready."""
    text = str(error)
    if "failed to import" in text:
        raise ExecutorError(
            "Expected DiffSeg on every machine of the cluster, installed or as a clone that all of them "
            f"see, but a worker could not import it: {text.splitlines()[-1]}"
        ) from error
    if lost_starts >= MAX_CRASHES * workers:
        raise ExecutorError(
            f"Expected workers to start, but {lost_starts} in a row died while they loaded the model. Most "
            "likely there is too little memory: try fewer workers, or a machine with more. Ray says: "
            f"{_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    """Of a text of Ray's, what it says of the one case; general advice and numbers follow."""
    return str(error).partition("\n")[0]
