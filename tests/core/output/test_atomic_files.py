"""Files are whole or not there, whoever is killed."""

from __future__ import annotations

import pytest

from diffseg_core.output.atomic_files import remove_leftovers, staged_files, write_atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_replaces_another_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "new" / "x.json"
    for content in (b"one", b"two"):
        write_atomic(path, content)
        assert path.read_bytes() == content
    assert names(path.parent) == ["x.json"]


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / ("x" * 250 + ".json")
    write_atomic(path, b"1")
    assert names(tmp_path) == [path.name]


def test_what_is_not_moved_is_removed(tmp_path):
    with staged_files({tmp_path / "a": b"1", tmp_path / "b": b"2"}) as aside:
        aside[tmp_path / "a"].replace(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_processes_of_any_machine_write_aside_under_names_of_their_own(tmp_path):
    path = tmp_path / "x"
    with staged_files({path: b"1"}) as one, staged_files({path: b"2"}) as other:
        assert one[path].read_bytes() == b"1"
        assert other[path].read_bytes() == b"2"


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    with staged_files({tmp_path / "a.png": b"1"}) as aside:
        left = aside[tmp_path / "a.png"].name
    of_old = f".a.png{left}"
    others = [".a.png.tmp", "a.png", left.removeprefix("."), f"{left}.png"]
    for name in (left, of_old, *others):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(others)


def test_a_folder_that_is_not_there_needs_no_sweeping(tmp_path):
    remove_leftovers(tmp_path / "nowhere")


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_atomic(tmp_path / "file" / "x", b"")
