"""What nodes do with their outputs alike."""

from __future__ import annotations

import comfy.model_management
import torch

from ..diffseg_core import GridSize
from .comfy.api import io


def count_output() -> io.Int.Output:
    """The output of the number of segments."""
    return io.Int.Output(display_name="count", tooltip="Number of segments, of all images together.")


def as_output(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor on ComfyUI's intermediate device, where the outputs of nodes are."""
    return tensor.to(comfy.model_management.intermediate_device())


def mask_batch(masks: torch.Tensor, size: GridSize) -> torch.Tensor:
    """A MASK output, see `as_output`; one empty mask where there is none.

    Args:
        masks: ``[K, H, W]``, K from 0.
        size: of the empty mask.
    """
    if not len(masks):
        masks = masks.new_zeros(1, *size)
    return as_output(masks)
