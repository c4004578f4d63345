"""`make clean` removes what the commands made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_clean_removes_everything_that_git_ignores_and_nothing_else(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = {tmp_path / "Makefile", tmp_path / "nodes", tmp_path / "nodes/capture.py"}
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes/capture.py").touch()
    for pattern in (ROOT / ".gitignore").read_text(encoding="utf-8").split():
        assert pattern.endswith("/"), "only folders are made"
        name = pattern.strip("/").replace(".venv*", ".venv").replace("*", "made")
        for place in (tmp_path, tmp_path / "nodes") if name == "__pycache__" else (tmp_path,):
            (place / name).mkdir()
            (place / name / "made").touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert set(tmp_path.rglob("*")) == kept
