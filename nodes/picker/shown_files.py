"""Which of ComfyUI's temporary files the nodes' cached results name, and whether these are still there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import folder_paths

from ..comfy.api import Running, made_from, running

MOST = 500  # results that are remembered: more than ComfyUI keeps


@dataclass
class _Shown:
    run: str = ""
    files: set[Path] = field(default_factory=set)
    losses: int = 0


_results: dict[tuple[str, str], _Shown] = {}  # by node id and what the result follows from, the latest last


def temporary_file(entry: Mapping[str, str]) -> Path:
    """Where the file of an entry for ComfyUI's ``/view`` lies."""
    return Path(folder_paths.get_temp_directory()) / entry["subfolder"] / entry["filename"]


def note(node_id: str, entries: Iterable[Mapping[str, str]]) -> None:
    """Remember that the result of this node, in the prompt that runs, names these files.

    A node that runs several times in a run, over a list, names them all; those of an earlier run are
    forgotten.
    """
    now = running()
    shown = _result(node_id, now)
    if shown.run != now.id or not now.id:
        shown.run, shown.files = now.id, set()
    shown.files.update(temporary_file(entry) for entry in entries)


def losses(node_id: str) -> int:
    """How often files of this node, in the prompt that runs, were missing: another number is to run it again.

    ComfyUI keeps what a node sent to the browser, and after a run in which nothing changed it sends that
    again without running the node. Another ComfyUI on the same folder, or someone who cleans up, may have
    removed the files meanwhile.
    """
    shown = _result(node_id, running())
    if not all(file.is_file() for file in shown.files):
        shown.files, shown.losses = set(), shown.losses + 1
    return shown.losses


def _result(node_id: str, now: Running) -> _Shown:
    follows_from = json.dumps(made_from(node_id, now.nodes), default=repr)
    key = (node_id, hashlib.sha256(follows_from.encode()).hexdigest())
    _results[key] = _results.pop(key, _Shown())
    while len(_results) > MOST:
        del _results[next(iter(_results))]
    return _results[key]
