"""The pack works beside the oldest release of ComfyUI that it is tested with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from diffseg_tools.environment import OLDEST, comfyui_directory


def test_capture_and_masks_on_the_oldest_release():
    directory = comfyui_directory(OLDEST)
    if not (directory / "main.py").is_file():
        pytest.fail(f"ComfyUI {OLDEST} is not in {directory}. Run `make test`, which fetches it.")
    script = Path(__file__).with_name("oldest_release.py")
    run = subprocess.run(
        [sys.executable, str(script), str(directory)],
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith(
        "DiffSegCapture, DiffSegSegment, DiffSegHierarchy, DiffSegSelect, "
        "DiffSegFindWords, DiffSegFilter, DiffSegSnapMask, DiffSegRefine, DiffSegMasks, DiffSegLabelMap, "
        "DiffSegToSEGS, DiffSegSave, DiffSegPreview, DiffSegCheckModel, DiffSegDemoModel"
    )
