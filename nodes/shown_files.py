"""Which of ComfyUI's temporary files the nodes' cached results name, and whether these are still there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import folder_paths

_files: dict[str, set[Path]] = {}  # by node id
_losses: dict[str, int] = {}


def temporary_file(entry: Mapping[str, str]) -> Path:
    """Where the file of an entry for ComfyUI's ``/view`` lies."""
    return Path(folder_paths.get_temp_directory()) / entry["subfolder"] / entry["filename"]


def note(node_id: str, entries: Iterable[Mapping[str, str]]) -> None:
    """Remember that the result of this node names these files."""
    _files.setdefault(node_id, set()).update(temporary_file(entry) for entry in entries)


def losses(node_id: str) -> int:
    """How often files of this node were found missing: another number is a reason to run it again.

    ComfyUI keeps what a node told the browser, and after a run in which nothing changed it tells that again
    without running the node. Another ComfyUI on the same folder, or someone who cleans up, may have removed
    the files meanwhile.
    """
    if not all(file.is_file() for file in _files.get(node_id, ())):
        _files.pop(node_id)
        _losses[node_id] = _losses.get(node_id, 0) + 1
    return _losses.get(node_id, 0)
