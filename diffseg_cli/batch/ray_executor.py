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
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from diffseg_core.errors import InvalidSettingError

from .executor import ExecutorError, Outcome, Task, Worker, attempt
from .ray_cluster import WorkerPlan, connected, import_ray, package_path, plan_workers

MAX_CRASHES = 3  # of workers at one task, or for each worker before it was ready
READY_TIMEOUT = 60.0  # seconds without any worker until people are told
GIVEN_UP = (
    f"{MAX_CRASHES} workers died at it, one after the other. Most likely it takes more memory than there is."
)

logger = logging.getLogger(__name__)


class RayExecutor:
    """Shares tasks out among processes, each with a worker of its own.

    Where Ray is connected to a cluster already, as in a notebook, that cluster is used and kept, if the
    address is None or "auto". A cluster that the run starts is shut down after it.

    Args:
        address: of the cluster: "auto" (the one on this machine), "host:port" (from one of its machines) or
            "ray://host:port" (from elsewhere; needs ``ray[client]``). None or "local" is a cluster of this
            machine alone, for this run.
        workers: how many, ≥ 1; None is one on each GPU, or without GPUs one for every 4 CPUs. More than have
            room wait until there is more.
        cpus_per_worker: ≥ 1, reserved for each, and the number of its threads; None is an equal share.
        use_gpus: whether each worker has a GPU for itself, where the cluster has any. The GPU is the only
            one that the worker sees: the device of its model is "auto" or "cuda", never "cuda:1".

    Raises:
        InvalidSettingError: fewer than one worker, or than one CPU for each.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        cpus_per_worker: int | None = None,
        use_gpus: bool = True,
    ) -> None:
        for name, value in (("workers", workers), ("CPUs for each worker", cpus_per_worker)):
            if value is not None and value < 1:
                raise InvalidSettingError(f"Expected at least 1 for the number of {name}, got {value}.")
        self._address = address
        self._workers = workers
        self._cpus_per_worker = cpus_per_worker
        self._use_gpus = use_gpus

    def run(self, make_worker: Callable[[], Worker[Task]], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """See `Executor.run`. What making a worker raises ends the run.

        Raises:
            ExecutorError: Ray is not installed, the cluster cannot be reached, or workers die before they are
                ready.
        """
        if not tasks:
            return
        ray = import_ray()
        with connected(ray, self._address):
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            plan = plan_workers(machines, self._workers, self._cpus_per_worker, self._use_gpus)
            yield from _shared_out(ray, plan, make_worker, tasks)


class WorkerActor:
    """What runs in each process: a worker, and what became of its tasks."""

    def prepare(self, make_worker: Callable[[], Worker[Any]]) -> None:
        """Make the worker."""
        self._worker = make_worker()

    def do(self, task: Any) -> Outcome:
        """Do one task."""
        return attempt(self._worker, task)


def _shared_out(
    ray: ModuleType, plan: WorkerPlan, make_worker: Callable[[], Worker[Task]], tasks: Sequence[Task]
) -> Iterator[Outcome]:
    """Do the tasks with as many actors as the plan allows; at the end all of their processes end."""
    actor_class = ray.remote(WorkerActor).options(
        num_cpus=plan.cpus, num_gpus=plan.gpus, runtime_env={"env_vars": package_path()}
    )
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
            for _ in range(min(len(waiting) - loading, plan.workers - len(calls) - len(idle))):
                actor = actor_class.remote()
                calls[actor.prepare.remote(make_worker)] = actor, None
            for reference in _finished(ray, list(calls), loading == len(calls)):
                actor, started = calls.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:
                    ray.kill(actor)  # where it is only out of reach
                    if started is None:
                        lost_starts += 1
                        _check_starts(error, lost_starts, plan)
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
                    yield result
    finally:
        for actor in [*idle, *(actor for actor, _ in calls.values())]:
            ray.kill(actor)


def _finished(ray: ModuleType, references: list[Any], all_load: bool) -> list[Any]:
    """The next results that are there; none yet where all workers load for longer than people expect."""
    done: list[Any]
    done, _ = ray.wait(references, timeout=READY_TIMEOUT if all_load else None)
    if not done:
        logger.warning(
            "No worker is ready after %.0f s: is the model large, the cluster busy?", READY_TIMEOUT
        )
    return done


def _check_starts(error: Exception, lost_starts: int, plan: WorkerPlan) -> None:
    """End a run whose workers cannot import DiffSeg, or die one after the other before they are ready."""
    text = str(error)
    if "failed to import" in text:
        raise ExecutorError(
            "Expected DiffSeg on every machine of the cluster, installed or as a clone that all of them "
            f"see, but a worker could not import it: {text.splitlines()[-1]}"
        ) from error
    if lost_starts >= MAX_CRASHES * plan.workers:
        raise ExecutorError(
            f"Expected workers to start, but {lost_starts} in a row died while they loaded the model. Most "
            "likely there is too little memory: try fewer workers, or a machine with more. Ray says: "
            f"{_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    """Of a text of Ray's, what it says of the one case; general advice and numbers follow."""
    return str(error).partition("\n")[0]
