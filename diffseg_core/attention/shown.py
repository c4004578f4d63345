"""What a model was shown, where words have to be shown together with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..grid import GridSize


@dataclass(frozen=True, eq=False)
class ShownStep:
    """The step that attention was captured at, so that its model can be shown the same with a text.

    A transformer that attends to image and text together has no queries that could be kept for words to come:
    its image's tokens change with the text.

    Attributes:
        architecture: of the model, as its capture calls it.
        latents: ``[B, C, h, w]`` as the model saw them, with their noise.
        level: of noise, 0..1000, which the model was told.
        size: of the images in pixels, as the model saw them.
        blocks: which were captured; see `choose_blocks`.
    """

    architecture: str
    latents: torch.Tensor
    level: int
    size: GridSize
    blocks: str
