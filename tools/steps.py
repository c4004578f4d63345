"""What every set-up is made of: where things lie, steps that are skipped when done, and quiet programs.

Uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENV = ROOT / ".venv"


class SetupError(RuntimeError):
    """The environment cannot be prepared. The message says what to do."""


class Steps:
    """Numbered progress lines, only for what has to be done."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.number = 0

    def do(self, title: str, needed: bool, action: Callable[[], None]) -> None:
        """Run the action if it is needed."""
        self.number += 1
        if not needed:
            return
        print(f"[{self.number}/{self.total}] {title}", flush=True)
        start = time.monotonic()
        action()
        print(f"      done in {time.monotonic() - start:.0f} s", flush=True)


def venv_python(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def run_quietly(
    command: Sequence[str], name: str, advice: str, environ: Mapping[str, str] | None = None
) -> None:
    """Run a program in the repository: silent, but for a sign of life, and its last lines if it fails.

    Args:
        command: the program and its arguments.
        name: what it is called in the error.
        advice: what to do if it fails.
        environ: its environment, by default that of this process.

    Raises:
        SetupError: with those lines, and the advice.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environ
        )
        start = time.monotonic()
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    print(f"      ... {time.monotonic() - start:.0f} s", flush=True)
        finally:
            if process.poll() is None:
                process.kill()
        log.seek(0)
        lines = [line for line in log.read().splitlines() if "is ignored" not in line]
    if process.returncode != 0:
        detail = "\n".join(lines[-15:])
        raise SetupError(f"{name} failed:\n{detail}\n\n{advice}")
