"""Without an accelerator its tests say so in one line; with the CPU in its place they can be run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    torch.backends.mps.is_available(), reason="an Apple accelerator cannot be hidden from PyTorch"
)
SUITE = Path(__file__).parents[1] / "accelerator"


def run(*tests: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The suite, or some of its files, where PyTorch finds no accelerator."""
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "ZE_AFFINITY_MASK": ""}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *(tests or [str(SUITE)])],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **hidden, **variables},
        cwd=SUITE,
    )


def test_one_line_where_there_is_none():
    done = run(COMFYUI_DIR="/nowhere", DIFFSEG_ACCELERATOR="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "no accelerator: nothing to test\n"


def test_a_device_that_is_not_there_is_refused():
    done = run(DIFFSEG_ACCELERATOR="cuda")
    assert done.returncode == 4
    assert "DIFFSEG_ACCELERATOR is 'cuda', but the accelerator here is none." in done.stderr


@pytest.mark.slow
def test_what_is_seldom_run_still_finds_what_it_tests():
    done = run("--collect-only", DIFFSEG_ACCELERATOR="cpu")
    assert done.returncode == 0, done.stdout
    assert "test_results.py" in done.stdout


@pytest.mark.exhaustive
def test_with_the_cpu_in_its_place_the_results_hold():
    """So that what is seldom run is not left behind by what changes."""
    done = run("test_results.py", "test_no_waiting.py", DIFFSEG_ACCELERATOR="cpu")
    assert done.returncode == 0, done.stdout
