"""Which files a node's cached result names: those of its last run of the same prompt."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import folder_paths
import pytest


def prompt(image: str, seed: int = 0) -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "DiffSegSelect", "inputs": {"image": ["1", 0], "points": [{"x": 1}, {"x": 2}]}},
        "3": {"class_type": "KSampler", "inputs": {"seed": seed, "mask": ["2", 0]}},
    }


@pytest.fixture
def run(monkeypatch) -> Any:
    """What stands in the server's queue while a prompt runs."""
    queue = SimpleNamespace(currently_running={})
    server = SimpleNamespace(PromptServer=SimpleNamespace(instance=SimpleNamespace(prompt_queue=queue)))
    monkeypatch.setitem(sys.modules, "server", server)
    numbers = iter(range(10_000))

    def run(nodes: dict[str, Any]) -> None:
        queue.currently_running = {0: (0, f"run {next(numbers)}", nodes, {}, [])}

    return run


def entry(name: str) -> dict[str, str]:
    Path(folder_paths.get_temp_directory(), name).touch()
    return {"filename": name, "subfolder": "", "type": "temp"}


def test_a_run_replaces_what_the_last_one_named(pack, run):
    files = pack.nodes.picker.shown_files
    run(prompt("a.png"))
    files.note("2", [entry("old")])
    run(prompt("a.png", seed=1))  # what comes after the node is not what its result follows from
    files.note("2", [entry("new"), entry("newer")])
    files.note("2", [entry("of the list's next item")])
    files.temporary_file({"filename": "old", "subfolder": ""}).unlink()
    run(prompt("a.png", seed=2))
    assert files.losses("2") == 0
    files.temporary_file({"filename": "newer", "subfolder": ""}).unlink()
    assert [files.losses("2"), files.losses("2")] == [1, 1]


def test_the_node_of_another_prompt_is_another(pack, run):
    files = pack.nodes.picker.shown_files
    for image in ("b.png", "c.png"):
        run(prompt(image))
        files.note("2", [entry(image)])
    files.temporary_file({"filename": "b.png", "subfolder": ""}).unlink()
    assert files.losses("2") == 0
    run(prompt("b.png"))
    assert files.losses("2") == 1


def test_the_list_does_not_grow_without_end(pack, run):
    files = pack.nodes.picker.shown_files
    for number in range(files.MOST + 20):
        run(prompt(f"{number}.png"))
        files.note("2", [{"filename": str(number), "subfolder": ""}])
    assert len(files._results) == files.MOST
    assert files.losses("2") == 1, "the latest are those that are kept"
