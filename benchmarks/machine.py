"""What was measured on: without it a time says nothing."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

from .workers import Compute

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Occasion:
    """The machine, the software and the day of a measurement.

    Attributes:
        date: ISO 8601.
        commit: of the repository, "+" after it if files differed from it; None outside a clone.
        processor: model of the CPU.
        cores: that this process may use.
        memory: bytes of main memory; None where it is not known.
        accelerator: model of the device; None for the CPU itself.
        threads: that each measured process used.
        torch: its version.
        python: its version.
        system: operating system and architecture.
    """

    date: str
    commit: str | None
    processor: str
    cores: int
    memory: int | None
    accelerator: str | None
    threads: int
    torch: str
    python: str
    system: str

    @property
    def machine(self) -> str:
        """The hardware, in words."""
        memory = "" if self.memory is None else f", {self.memory / 2**30:.0f} GiB"
        accelerator = "" if self.accelerator is None else f", {self.accelerator}"
        return f"{self.processor}, {self.cores} cores{memory}{accelerator}"

    @property
    def software(self) -> str:
        """What ran on it, in words."""
        return (
            f"torch {self.torch}, {self.threads} thread{'s' * (self.threads > 1)}, float32, "
            f"Python {self.python}, {self.system}"
        )


def occasion(compute: Compute) -> Occasion:
    """The machine at hand, now."""
    return Occasion(
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        commit=_commit(),
        processor=_processor(),
        cores=_cores(),
        memory=_memory(),
        accelerator=None if compute.device == "cpu" else torch.cuda.get_device_name(compute.device),
        threads=compute.threads,
        torch=torch.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _commit() -> str | None:
    """Of a clone; the page that is being written counts as no difference."""
    if not (ROOT / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True, encoding="utf-8"
        )
        return done.stdout.strip()

    differs = git("status", "--porcelain", "--", ".", ":!docs")
    return git("rev-parse", "--short", "HEAD") + ("+" if differs else "")


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
