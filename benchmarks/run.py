"""Everything that `make bench` measures, in one run: ``benchmarks/run.py [--threads N]``."""

from __future__ import annotations

import argparse
import os

from diffseg_benchmarks import segmentation_cost


def main() -> None:
    """Print each measurement as soon as it is known."""
    parser = argparse.ArgumentParser(description="Measure time and memory.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one for each CPU")
    threads = parser.parse_args().threads
    for line in segmentation_cost.report(threads):
        print(line, flush=True)


if __name__ == "__main__":
    main()
