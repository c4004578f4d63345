"""What the two training scripts share: photographs in memory, schedules, resumable checkpoints."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image


def load_photographs(folder: Path) -> list[Image.Image]:
    """Load every PNG of ``folder`` in name order.

    Raises:
        FileNotFoundError: the folder holds no PNG (run ``training.photographs`` first).
    """
    files = sorted(folder.glob("*.png"))
    if not files:
        raise FileNotFoundError(
            f"Expected PNG photographs in {folder}, found none. "
            "Gather them with: python -m training.photographs"
        )
    return [Image.open(file).convert("RGB") for file in files]


def to_tensor(image: Image.Image) -> torch.Tensor:
    """An image as float32 ``[3, H, W]`` in -1..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(127.5).sub_(1.0)


def cosine(step: int, steps: int, warmup: int = 100) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine down to one hundredth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def seed_step(seed: int, step: int) -> tuple[random.Random, torch.Generator]:
    """Random sources that depend on the step alone, so that a resumed run draws as an unbroken one."""
    number = seed * 1_000_003 + step
    return random.Random(number), torch.Generator().manual_seed(number)


def save_checkpoint(file: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint in one atomic step: a killed run leaves the previous one whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    torch.save(dict(state), part)
    part.replace(file)


def load_checkpoint(file: Path) -> dict[str, Any] | None:
    """The checkpoint at ``file``, or None where there is none yet."""
    return torch.load(file, weights_only=True) if file.exists() else None


class Average:
    """Exponential moving average of a module's parameters (decay warmed up from zero)."""

    def __init__(self, module: torch.nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """Take in the parameters after one more step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            self.values[name].lerp_(parameter, 1.0 - decay)

    @torch.no_grad()
    def copy_to(self, module: torch.nn.Module, prefixes: tuple[str, ...]) -> None:
        """Give the module the averages of the parameters whose names begin with one of ``prefixes``."""
        for name, parameter in module.named_parameters():
            if name.startswith(prefixes):
                parameter.copy_(self.values[name])


def resume(file: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: Average) -> int:
    """Take up a run where its checkpoint stands; the number of steps done, 0 where there is none yet."""
    state = load_checkpoint(file)
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    average.values = state["average"]
    return int(state["step"])


def load_averaged(file: Path, model: torch.nn.Module) -> dict[str, Any]:
    """Give a model the averaged weights of its checkpoint, ready for inference; the checkpoint.

    Raises:
        FileNotFoundError: there is no checkpoint.
    """
    state = load_checkpoint(file)
    if state is None:
        raise FileNotFoundError(f"Expected a checkpoint of {type(model).__name__} at {file}: train it first")
    model.load_state_dict(state["model"])
    model.load_state_dict(state["average"], strict=False)
    model.eval().requires_grad_(False)
    return state
