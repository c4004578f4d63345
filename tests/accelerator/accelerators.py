"""The accelerator that the tests run on, and ComfyUI on it.

Nothing here needs the repository to be installed: where its folders are not importable yet, they are made so.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "DIFFSEG_ACCELERATOR"
NONE = "no accelerator: nothing to test"


def chosen_accelerator() -> torch.device | None:
    """What DIFFSEG_ACCELERATOR names ("cpu" too); without it what PyTorch finds, or None.

    Raises:
        ValueError: the variable names a device that is not there.
    """
    found = _found()
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return found
    if wanted != "cpu" and (found is None or found.type != wanted):
        there = "none" if found is None else found.type
        raise ValueError(f"{VARIABLE} is {wanted!r}, but the accelerator here is {there}.")
    return torch.device(wanted, None if wanted in ("cpu", "mps") else 0)


def _found() -> torch.device | None:
    if torch.cuda.is_available():  # NVIDIA's, and AMD's by the same name
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        return torch.device("xpu", 0)
    return None


def import_repository() -> None:
    """Make `diffseg_tools` and `diffseg_benchmarks` importable, never the repository's root itself.

    The root holds a package `nodes`, which would hide ComfyUI's.
    """
    for name, folder in (("diffseg_tools", "tools"), ("diffseg_benchmarks", "benchmarks")):
        if importlib.util.find_spec(name) is None:
            place = ROOT / folder
            spec = importlib.util.spec_from_file_location(
                name, place / "__init__.py", submodule_search_locations=[str(place)]
            )
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])


def name_of(device: torch.device) -> str:
    """The card's name, as a report says it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def release_memory(device: torch.device) -> None:
    """Give back what no tensor needs any more."""
    gc.collect()
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()


def captured(pack: ModuleType, **inputs: Any) -> Any:
    """What the capture node gives of the clean latent or image, at its usual noise level and size."""
    return pack.nodes.capture.DiffSegCapture.execute(
        noise_level=300,
        input_mode="clean latent",
        noise_seed=0,
        working_size=0,
        layers="all",
        **inputs,
    )[0]
