"""Everything that `make bench` measures, in one run."""

from __future__ import annotations

import os

from diffseg_benchmarks import segmentation_cost


def main() -> None:
    """Print each measurement as soon as it is known."""
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before the start", flush=True)
    for report in (segmentation_cost.report,):
        for line in report():
            print(line, flush=True)


if __name__ == "__main__":
    main()
