"""Everything that `make bench` measures, in one run: ``benchmarks/run.py [--threads N]``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from diffseg_benchmarks import segmentation_cost
from diffseg_tools.environment import NEWEST, comfyui_directory


def main() -> None:
    """Print each measurement as soon as it is known."""
    parser = argparse.ArgumentParser(description="Measure time and memory.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one for each CPU")
    threads = parser.parse_args().threads
    for line in segmentation_cost.report(threads):
        print(line, flush=True)
    # In a process of its own: ComfyUI's modules stay out of this one.
    step = Path(__file__).with_name("captured_step.py")
    command = [sys.executable, str(step), "--comfyui", str(comfyui_directory(NEWEST))]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
