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
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic

from diffseg_core.errors import InvalidSettingError

from ..errors import ExecutorError
from .executor import Outcome, Task, Worker, attempt
from .ray_cluster import WorkerPlan, connected, import_ray, package_path, plan_workers

MAX_CRASHES = 3  # of workers at one task, or for each worker before it was ready
READY_TIMEOUT = 60.0  # seconds without any worker until people are told

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
            capacity = plan.capacity(machines)
            if capacity < plan.workers:
                logger.warning(
                    "There is room for %d of %d workers now; the others wait.", capacity, plan.workers
                )
            pool = _Pool(ray, plan, make_worker)
            try:
                yield from pool.do(tasks)
            finally:
                pool.shutdown()


class WorkerActor:
    """What runs in each process: a worker, and what became of its tasks."""

    def prepare(self, make_worker: Callable[[], Worker[Any]]) -> None:
        """Make the worker."""
        self._worker = make_worker()

    def do(self, task: Any) -> Outcome:
        """Do one task."""
        return attempt(self._worker, task)


@dataclass(frozen=True)
class _Call(Generic[Task]):
    """What an actor does now: one task, or preparing itself (None)."""

    actor: Any
    task: int | None


class _Pool(Generic[Task]):
    """The actors of a run, and who does what."""

    def __init__(self, ray: ModuleType, plan: WorkerPlan, make_worker: Callable[[], Worker[Task]]) -> None:
        self._ray = ray
        self._max_workers = plan.workers
        self._make_worker = make_worker
        self._actor_class = ray.remote(WorkerActor).options(
            num_cpus=plan.cpus,
            num_gpus=plan.gpus,
            max_restarts=0,
            max_task_retries=0,
            runtime_env={"env_vars": package_path()},
        )
        self._calls: dict[Any, _Call[Task]] = {}  # by Ray's reference to the result
        self._idle: list[Any] = []
        self._lost_starts = 0  # since the last actor got ready
        self._warned = False

    def do(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Share the tasks out, and yield what became of each."""
        waiting = deque(range(len(tasks)))
        crashes: Counter[int] = Counter()
        while waiting or any(call.task is not None for call in self._calls.values()):
            while waiting and self._idle:
                self._submit(tasks, waiting.popleft())
            self._start_workers(len(waiting))
            for call, result in self._finished():
                if call.task is None:
                    self._on_ready(call.actor, result)
                elif isinstance(result, Outcome):
                    self._idle.append(call.actor)
                    yield result
                else:
                    crashes[call.task] += 1
                    if crashes[call.task] < MAX_CRASHES:
                        waiting.append(call.task)
                    else:
                        yield Outcome(str(tasks[call.task]), _given_up(result))

    def shutdown(self) -> None:
        """End all processes, whatever they do."""
        for actor in [*self._idle, *(call.actor for call in self._calls.values())]:
            self._ray.kill(actor)

    def _submit(self, tasks: Sequence[Task], task: int) -> None:
        actor = self._idle.pop()
        self._calls[actor.do.remote(tasks[task])] = _Call(actor, task)

    def _start_workers(self, waiting: int) -> None:
        """Have as many actors getting ready as tasks wait for, and as the plan allows."""
        preparing = sum(call.task is None for call in self._calls.values())
        free = self._max_workers - len(self._calls) - len(self._idle)
        for _ in range(min(waiting - preparing, free)):
            actor = self._actor_class.remote()
            self._calls[actor.prepare.remote(self._make_worker)] = _Call(actor, None)

    def _finished(self) -> Iterator[tuple[_Call[Task], Any]]:
        """The next tasks that end, each with its result, or with Ray's error where a process died.

        Raises:
            Exception: what a worker raised that could not be made.
        """
        idle = all(call.task is None for call in self._calls.values())
        done, _ = self._ray.wait(list(self._calls), timeout=READY_TIMEOUT if idle else None)
        if not done and not self._warned:
            self._warned = True
            logger.warning(
                "No worker is ready after %.0f s: is the model large, the cluster busy?", READY_TIMEOUT
            )
        for reference in done:
            call = self._calls.pop(reference)
            try:
                result = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._ray.kill(call.actor)  # where it is only out of reach
                result = error
            yield call, result

    def _on_ready(self, actor: Any, error: Exception | None) -> None:
        """An actor is ready, or died before it was."""
        if error is None:
            self._lost_starts = 0
            self._idle.append(actor)
            return
        text = str(error)
        if "failed to import" in text:
            raise ExecutorError(
                "Expected DiffSeg on every machine of the cluster, installed or as a clone that all of them "
                f"see, but a worker could not import it: {text.splitlines()[-1]}"
            ) from error
        self._lost_starts += 1
        if self._lost_starts >= MAX_CRASHES * self._max_workers:
            raise ExecutorError(
                f"Expected workers to start, but {self._lost_starts} in a row died while they loaded the "
                "model. Most likely there is too little memory: try fewer workers, or a machine with more. "
                f"Ray says: {_first_line(error)}"
            ) from error


def _given_up(error: Exception) -> str:
    return (
        f"{MAX_CRASHES} workers died at it, one after the other. Most likely it takes more memory than there "
        f"is. Ray says: {_first_line(error)}"
    )


def _first_line(error: Exception) -> str:
    """Of a text of Ray's, what it says of the one case; general advice and numbers follow."""
    return str(error).partition("\n")[0]
