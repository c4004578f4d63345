"""Models that `torch.compile` works on: what is inside, and running it as it was written."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

RUNS_UNCOMPILED = hasattr(torch.compiler, "set_stance")  # from torch 2.6 on


def not_compiled() -> Any:
    """A context in which compiled modules run as they were written, so that every hook and layer is met.

    Before torch 2.6 there is none, and a compiled module runs compiled.
    """
    return torch.compiler.set_stance("force_eager") if RUNS_UNCOMPILED else nullcontext()


def uncompiled(module: Any) -> Any:
    """What `torch.compile` was given, where a module is what it gave; else the module itself."""
    while hasattr(module, "_orig_mod"):
        module = module._orig_mod
    return module
