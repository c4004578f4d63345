"""How much memory a step took at most."""

from __future__ import annotations

import sys

import torch


def reset_peak(device: torch.device) -> None:
    """Begin to count anew, where the accelerator can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "xpu":
        torch.xpu.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Bytes in use at most.

    Args:
        device: that the model runs on.

    Returns:
        of PyTorch on a CUDA or XPU device since `reset_peak`; on a CPU those of the whole process since it
        began, where the system tells; else None.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "xpu":
        return int(torch.xpu.max_memory_allocated(device))
    if device.type != "cpu" or sys.platform == "win32":
        return None
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(kilobytes if sys.platform == "darwin" else kilobytes * 1024)
