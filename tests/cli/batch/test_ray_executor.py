"""A run over the processes of a real cluster, of which some die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
import torch
from PIL import Image

from diffseg_cli.batch.discovery import find_images
from diffseg_cli.batch.executor import Execute, ExecutorError, run_locally
from diffseg_cli.batch.ray_executor import connected, import_ray, plan_workers, run_with_ray
from diffseg_cli.batch.segment_run import RunSettings, SegmentWorker, finish_run, prepare_run
from diffseg_cli.batch.settings import DEMO_CAPTURE, DEMO_SEGMENT, ModelChoice
from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import write_atomic

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[3]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the processes cannot import a test


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with connected(import_ray(), None):
        yield


@dataclass(frozen=True)
class MakeWriter:
    """Makes workers that write a file for each task; some tasks are not so easy."""

    folder: Path

    def __call__(self) -> Callable[[str], None]:
        def write(task: str) -> None:
            with (self.folder / f"{task}.attempts").open("a") as file:
                file.write(f"{os.getpid()}\n")
            if task == "poison" or (task == "victim" and len(attempts(self.folder, task)) == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            if task == "refused":
                raise InvalidSettingError("Expected less,\n got more.")
            if task == "missing":
                (self.folder / "nowhere").read_bytes()
            time.sleep(0.2)
            write_atomic(self.folder / f"{task}.done", task.encode())

        return write


def attempts(folder: Path, task: str) -> list[int]:
    return [int(line) for line in (folder / f"{task}.attempts").read_text().split()]


def done(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix != ".attempts"}


def member_processes(of: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(of).children(recursive=True) if "WorkerActor" in each.name()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse() -> Callable[[str], None]:
    raise InvalidSettingError("Expected a model, got none.")


def test_without_a_cluster_at_the_address_the_run_ends_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ExecutorError, match=f"Expected a cluster at {address}"):
        list(run_with_ray(refuse, ["a"], address=address))


@pytest.mark.usefixtures("cluster")
def test_every_unit_is_done_once_although_a_worker_is_killed(tmp_path):
    tasks = ["a", "b", "c", "victim", "d", "e", "f", "g"]
    outcomes = run_with_ray(MakeWriter(tmp_path), tasks, workers=2, use_gpus=False)
    first = next(outcomes)
    assert len(done(tmp_path)) < len(tasks)  # yielded as they come
    assert Counter(map(astuple, [first, *outcomes])) == Counter((task, None, None) for task in tasks)
    assert done(tmp_path) == set(tasks)
    processes = {task: attempts(tmp_path, task) for task in tasks}
    assert len(set(processes.pop("victim"))) == 2
    assert {len(each) for each in processes.values()} == {1}


@pytest.mark.exhaustive
@pytest.mark.usefixtures("cluster")
def test_units_that_cannot_be_done_are_reported_and_the_others_are_done(tmp_path):
    tasks = ["poison", "refused", "missing", "a"]
    made = run_with_ray(MakeWriter(tmp_path), tasks, workers=1, use_gpus=False)
    outcomes = {outcome.name: outcome for outcome in made}
    error = outcomes.pop("poison").error
    assert error.startswith("3 workers died at it")
    assert "\n" not in error
    assert len(set(attempts(tmp_path, "poison"))) == 3
    assert len(attempts(tmp_path, "refused")) == 1
    assert outcomes["refused"].error == "Expected less, got more."
    assert list(outcomes.values()) == list(run_locally(MakeWriter(tmp_path), tasks[1:]))
    assert done(tmp_path) == {"a"}


def die() -> Callable[[str], None]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.exhaustive
@pytest.mark.usefixtures("cluster")
def test_a_worker_that_cannot_be_made_ends_the_run():
    with pytest.raises(InvalidSettingError, match=r"^Expected a model, got none\.$"):
        list(run_with_ray(refuse, ["a", "b"], workers=1, use_gpus=False))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("cluster")
def test_workers_that_die_while_they_are_made_end_the_run(monkeypatch):
    monkeypatch.setattr("diffseg_cli.batch.ray_executor.MAX_CRASHES", 2)
    with pytest.raises(ExecutorError, match="2 in a row died while they loaded the model"):
        list(run_with_ray(die, ["a", "b"], workers=1, use_gpus=False))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("cluster")
def test_a_run_that_is_left_ends_its_processes(tmp_path):
    outcomes = run_with_ray(MakeWriter(tmp_path), ["a", "b", "c", "d"], workers=1, use_gpus=False)
    next(outcomes)
    members = member_processes(os.getpid())
    assert members
    outcomes.close()
    assert psutil.wait_procs(members, timeout=20)[1] == []


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for index in range(6):
        blocks = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((100 + index, 80), Image.Resampling.BICUBIC).save(
            folder / f"{index}.png"
        )
    return folder


SETTINGS = RunSettings(ModelChoice(device="cpu"), replace(DEMO_CAPTURE, working_size=128), DEMO_SEGMENT)


def segment(execute: Execute, images: Path, out: Path) -> dict[str, bytes]:
    found = find_images([str(images)], out)
    todo = prepare_run(found, out, SETTINGS)
    outcomes = list(execute(partial(SegmentWorker, SETTINGS, out), todo))
    assert [each.error for each in outcomes] == [None] * 6
    finish_run(found, out)
    return contents(out)


@pytest.fixture(scope="module")
def plain(images, tmp_path_factory) -> dict[str, bytes]:
    before = torch.get_num_threads()
    files = segment(partial(run_locally, threads=1), images, tmp_path_factory.mktemp("plain"))
    torch.set_num_threads(before)
    return files


@pytest.mark.usefixtures("cluster")
def test_segments_of_two_workers_are_those_of_the_plain_run(images, plain, tmp_path):
    assert len(plain) == 6 * 5 + 3
    assert (
        segment(partial(run_with_ray, workers=2, cpus_per_worker=1, use_gpus=False), images, tmp_path)
        == plain
    )


@pytest.mark.exhaustive
def test_the_command_starts_a_cluster_of_its_own_and_survives_a_killed_worker(images, plain, tmp_path):
    command = [sys.executable, "-m", "diffseg_cli", "segment", str(images), f"--out={tmp_path}"]
    options = ["--working-size", "128", "--device", "cpu", "--threads", "1", "--workers", "2", "--ray=local"]
    with subprocess.Popen(
        [*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while process.poll() is None and not any(tmp_path.glob("*_segments.json")):
                time.sleep(0.02)
            assert process.returncode is None, process.communicate()
            started = psutil.Process(process.pid).children(recursive=True)
            member_processes(process.pid)[0].kill()
            output, errors = process.communicate()
        finally:
            process.terminate()
    assert process.returncode == 0
    assert len(output.splitlines()) == 1  # the command's own
    assert "raylet" not in errors
    assert contents(tmp_path) == plain
    assert psutil.wait_procs(started, timeout=60)[1] == []


def test_without_ray_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExecutorError, match=r'pip install "diffseg\[ray\]"'):
        list(run_with_ray(refuse, ["a"]))


def machine(cpus: float, gpus: float = 0) -> dict[str, float]:
    return {"CPU": cpus, "memory": 1e9, **({"GPU": gpus} if gpus else {})}


def test_how_many_workers_a_cluster_takes_and_what_each_has():
    for machines, settings, workers_cpus_gpus in (
        ([machine(16)], {}, (4, 4, 0)),
        ([machine(2)], {}, (1, 2, 0)),
        ([machine(6), machine(6), machine(3)], {}, (2, 4, 0)),
        ([machine(16)], {"workers": 3}, (3, 5, 0)),
        ([machine(6), machine(6)], {"workers": 3}, (3, 3, 0)),
        ([machine(2)], {"workers": 4}, (4, 1, 0)),
        ([machine(16)], {"cpus": 6}, (2, 6, 0)),
        ([machine(16)], {"workers": 2, "cpus": 3}, (2, 3, 0)),
        ([machine(16, gpus=2)], {}, (2, 8, 1)),
        ([machine(16, gpus=2), machine(8), machine(4, gpus=2)], {}, (4, 2, 1)),
        ([machine(16, gpus=4)], {"workers": 1}, (1, 16, 1)),
        ([machine(1, gpus=4)], {}, (1, 1, 1)),
        ([machine(16, gpus=2)], {"use_gpus": False}, (4, 4, 0)),
        ([machine(0)], {}, (1, 1, 0)),
    ):
        assert plan_workers(machines, **settings) == workers_cpus_gpus, (machines, settings)
