"""A crew of many processes, on this machine or on the many of a cluster, by Ray (https://docs.ray.io).

What a cluster needs beforehand:

- pictures, model and output folder at the same paths on all machines: on storage that they share;
- DiffSeg, of one version, on all machines: installed, or as a clone on that storage from which the run is
  started. Ray itself sees to it that all have the same Ray and Python.

Each worker is a process with a model of its own, and has one unit at a time; whoever is idle gets the next.
A process that dies (killed, out of memory, its machine lost) is replaced, and its unit is done again: since
workers write their results whole or not at all, nothing is lost and nothing is there twice. A unit at which
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

from ..errors import CrewError
from .crew import Outcome, Unit, Worker
from .local_crew import attempt
from .ray_cluster import connected, import_ray, package_path
from .staffing import Staffing, staff

MOST_DEATHS = 3  # of workers at one unit, or for each worker before it was ready
PATIENCE = 60.0  # seconds without any worker until people are told

logger = logging.getLogger(__name__)


class RayCrew:
    """Shares units out among processes, each with a worker of its own.

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

    def run(self, make_worker: Callable[[], Worker[Unit]], units: Sequence[Unit]) -> Iterator[Outcome]:
        """See `Crew.run`. What making a worker raises ends the run.

        Raises:
            CrewError: Ray is not installed, the cluster cannot be reached, or workers die before they are
                ready.
        """
        if not units:
            return
        ray = import_ray()
        with connected(ray, self._address):
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            staffing = staff(machines, self._workers, self._cpus_per_worker, self._use_gpus)
            room = staffing.room(machines)
            if room < staffing.workers:
                logger.warning(
                    "There is room for %d of %d workers now; the others wait.", room, staffing.workers
                )
            team = _Team(ray, staffing, make_worker)
            try:
                yield from team.do(units)
            finally:
                team.dismiss()


class Member:
    """What runs in each process: a worker, and what became of its units."""

    def prepare(self, make_worker: Callable[[], Worker[Any]]) -> None:
        """Make the worker."""
        self._worker = make_worker()

    def do(self, unit: Any) -> Outcome:
        """Do one unit."""
        return attempt(self._worker, unit)


@dataclass(frozen=True)
class _Task(Generic[Unit]):
    """What a member does now: one unit, or preparing itself (None)."""

    member: Any
    unit: int | None


class _Team(Generic[Unit]):
    """The members of a run, and who does what."""

    def __init__(self, ray: ModuleType, staffing: Staffing, make_worker: Callable[[], Worker[Unit]]) -> None:
        self._ray = ray
        self._most = staffing.workers
        self._make_worker = make_worker
        self._member = ray.remote(Member).options(
            num_cpus=staffing.cpus,
            num_gpus=staffing.gpus,
            max_restarts=0,
            max_task_retries=0,
            runtime_env={"env_vars": package_path()},
        )
        self._tasks: dict[Any, _Task[Unit]] = {}  # by Ray's reference to the result
        self._idle: list[Any] = []
        self._lost_starts = 0  # since the last member got ready
        self._told = False

    def do(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Share the units out, and yield what became of each."""
        waiting = deque(range(len(units)))
        deaths: Counter[int] = Counter()
        while waiting or any(task.unit is not None for task in self._tasks.values()):
            while waiting and self._idle:
                self._give(units, waiting.popleft())
            self._hire(len(waiting))
            for task, result in self._finished():
                if task.unit is None:
                    self._welcome(task.member, result)
                elif isinstance(result, Outcome):
                    self._idle.append(task.member)
                    yield result
                else:
                    deaths[task.unit] += 1
                    if deaths[task.unit] < MOST_DEATHS:
                        waiting.append(task.unit)
                    else:
                        yield Outcome(str(units[task.unit]), _given_up(result))

    def dismiss(self) -> None:
        """End all processes, whatever they do."""
        for member in [*self._idle, *(task.member for task in self._tasks.values())]:
            self._ray.kill(member)

    def _give(self, units: Sequence[Unit], unit: int) -> None:
        member = self._idle.pop()
        self._tasks[member.do.remote(units[unit])] = _Task(member, unit)

    def _hire(self, waiting: int) -> None:
        """Have as many members getting ready as units wait for, and as the staffing allows."""
        preparing = sum(task.unit is None for task in self._tasks.values())
        free = self._most - len(self._tasks) - len(self._idle)
        for _ in range(min(waiting - preparing, free)):
            member = self._member.remote()
            self._tasks[member.prepare.remote(self._make_worker)] = _Task(member, None)

    def _finished(self) -> Iterator[tuple[_Task[Unit], Any]]:
        """The next tasks that end, each with its result, or with Ray's error where a process died.

        Raises:
            Exception: what a worker raised that could not be made.
        """
        nobody = all(task.unit is None for task in self._tasks.values())
        done, _ = self._ray.wait(list(self._tasks), timeout=PATIENCE if nobody else None)
        if not done and not self._told:
            self._told = True
            logger.warning("No worker is ready after %.0f s: is the model large, the cluster busy?", PATIENCE)
        for reference in done:
            task = self._tasks.pop(reference)
            try:
                result = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._ray.kill(task.member)  # where it is only out of reach
                result = error
            yield task, result

    def _welcome(self, member: Any, error: Exception | None) -> None:
        """A member is ready, or died before it was."""
        if error is None:
            self._lost_starts = 0
            self._idle.append(member)
            return
        text = str(error)
        if "failed to import" in text:
            raise CrewError(
                "Expected DiffSeg on every machine of the cluster, installed or as a clone that all of them "
                f"see, but a worker could not import it: {text.splitlines()[-1]}"
            ) from error
        self._lost_starts += 1
        if self._lost_starts >= MOST_DEATHS * self._most:
            raise CrewError(
                f"Expected workers to start, but {self._lost_starts} in a row died while they loaded the "
                "model. Most likely there is too little memory: try fewer workers, or a machine with more. "
                f"Ray says: {_first_line(error)}"
            ) from error


def _given_up(error: Exception) -> str:
    return (
        f"{MOST_DEATHS} workers died at it, one after the other. Most likely it takes more memory than there "
        f"is. Ray says: {_first_line(error)}"
    )


def _first_line(error: Exception) -> str:
    """Of a text of Ray's, what it says of the one case; general advice and numbers follow."""
    return str(error).partition("\n")[0]
