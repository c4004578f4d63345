"""Waiting for a server to come up: as long as it works, whatever the disk it comes from."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

SIGN_OF_LIFE = 30  # seconds
LEAST_WORK = 0.1  # seconds of CPU: threads that only wake now and then take less


class Work:
    """What a process has done so far: what it and its children computed and read, and what it wrote.

    Args:
        process: of which.
        log_file: what it writes to; None where that is not known.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path | None) -> None:
        self.process = process
        self.log_file = log_file
        self._seconds, self._bytes = 0.0, 0

    def goes_on(self) -> bool:
        """Whether it has done something since this last was true."""
        seconds, moved = self._so_far()
        if abs(seconds - self._seconds) < LEAST_WORK and moved == self._bytes:
            return False
        self._seconds, self._bytes = seconds, moved
        return True

    def last_line(self) -> str:
        """The last line that it wrote, or nothing."""
        if self.log_file is None or not self.log_file.is_file():
            return ""
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _so_far(self) -> tuple[float, int]:
        """Seconds of CPU, and bytes from and to the disk where the system tells, and to the log."""
        moved = self.log_file.stat().st_size if self.log_file is not None and self.log_file.is_file() else 0
        seconds = 0.0
        try:
            process = psutil.Process(self.process.pid)
            for member in [process, *process.children(recursive=True)]:
                seconds += sum(member.cpu_times()[:4])  # its own, and those of its children that have ended
                if hasattr(member, "io_counters"):  # not on macOS
                    moved += sum(member.io_counters()[2:4])
        except psutil.Error:
            pass  # one has ended meanwhile, or is another user's
        return seconds, moved


def wait_until(
    answers: Callable[[], bool], work: Work, patience: float, say: Callable[[str], None] = print
) -> float | None:
    """Wait until a process answers, or ends, or stops working.

    Args:
        answers: whether it answers.
        work: of the process.
        patience: seconds that it may neither compute nor write.
        say: is given a line with what it does, every half minute.

    Returns:
        The seconds for which it had done nothing, or None if it answers or has ended.
    """
    start = last_work = last_sign = time.monotonic()
    while work.process.poll() is None and not answers():
        now = time.monotonic()
        if work.goes_on():
            last_work = now
        if now - last_work > patience:
            return now - last_work
        if now - last_sign >= SIGN_OF_LIFE:
            last_sign = now
            say(f"      ... {now - start:.0f} s  {work.last_line()}".rstrip())
        time.sleep(0.2)
    return None
