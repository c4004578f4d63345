"""What a capture is asked for, at which size, and what its model is given: the same values in both hosts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..settings import NOISE_LEVEL, NOISE_SEED, WORKING_SIZE
from .layers import RECOMMENDED, checked_layers

MULTIPLE = 64  # pixels: every resolution of a UNet then divides the image without rest; the least side, too
MAX_ELONGATION = 200
"""Length over breadth. Above, the shortest working side would make the attention many times as large as that
of other images."""


@dataclass(frozen=True)
class CaptureSettings:
    """What a capture is asked for.

    Attributes:
        noise_level: 0..1000, that the model is given: a UNet's timestep, a transformer's share of noise in
            thousandths. None (or -1) for the one of the model's architecture; the paper's is 300.
        noise_seed: None gives the model the clean latent, as the paper's code does; a number the latent with
            the level's noise, drawn from this seed.
        working_size: side in pixels of a square of the area at which the model works, 64..4096; 0 (or None)
            for its native one.
        layers: which of the model's attention layers to keep: "recommended" (all of a UNet), "all"; of a UNet
            "finest", "finest two", "all but finest"; of a transformer "middle third", or blocks from 0 as in
            "7-9, 12". See `choose_resolutions` and `choose_blocks`.

    Raises:
        InvalidSettingError: a value with which no model could be captured.
    """

    noise_level: int | None = None
    noise_seed: int | None = None
    working_size: int = 0
    layers: str = RECOMMENDED

    def __post_init__(self) -> None:
        level = -1 if self.noise_level is None else NOISE_LEVEL.checked(self.noise_level)
        checked = {
            "noise_level": None if level < 0 else level,
            "noise_seed": None if self.noise_seed is None else NOISE_SEED.checked(self.noise_seed),
            "working_size": WORKING_SIZE.checked(0 if self.working_size is None else self.working_size),
            "layers": checked_layers(self.layers),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def at_level(self, automatic: int) -> CaptureSettings:
        """With the noise level of the architecture where it is automatic."""
        return replace(self, noise_level=automatic) if self.noise_level is None else self


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """What a model was given at a captured step, so that it can be given the same with a text.

    A transformer that attends to image and text together has no queries that could be kept for words to come:
    its image's tokens change with the text.

    Attributes:
        architecture: name of the model's.
        latents: ``[B, C, h, w]`` (ComfyUI: or ``[B, C, 1, h, w]``), as the VAE gave them, without noise.
        settings: of the capture, with its noise level.
        batch_index: for each latent, the place in its batch whose noise it was given; None: its own.
        noise_mask: as an inpainting model was given it.
    """

    architecture: str
    latents: torch.Tensor
    settings: CaptureSettings
    batch_index: list[int] | None = None
    noise_mask: torch.Tensor | None = None

    @property
    def noise_level(self) -> int:
        """Of the step, 0..1000."""
        level = self.settings.noise_level
        assert level is not None, "the settings of a step have a level"
        return level

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that is held."""
        return [self.latents] if self.noise_mask is None else [self.latents, self.noise_mask]


def working_size(image_size: GridSize, side: int, multiple: int = MULTIPLE) -> GridSize:
    """The size nearest to the area side², with the image's aspect ratio and sides of whole tokens.

    Args:
        image_size: the image's height and width in pixels.
        side: side in pixels of a square of the area wanted, ≥ 64; the model's native one as a rule.
        multiple: pixels that the sides are multiples of: of a UNet 64, of a transformer those of a token.

    Raises:
        InvalidSettingError: an empty image, one more than 200 times as long as broad, or a side below 64.

    >>> working_size(GridSize(480, 640), 512)
    GridSize(height=448, width=576)
    """
    if image_size.height < 1 or image_size.width < 1:
        raise InvalidSettingError(f"Expected an image of at least 1×1 pixels, got {image_size}.")
    if side < MULTIPLE:
        raise InvalidSettingError(f"Expected a working size of at least {MULTIPLE} pixels, got {side}.")
    if max(image_size) > MAX_ELONGATION * min(image_size):
        raise InvalidSettingError(
            f"Expected an image at most {MAX_ELONGATION} times as long as broad, got {image_size.width}×"
            f"{image_size.height} pixels (width × height). Cut it into parts."
        )
    aspect = image_size.width / image_size.height

    def rounded(length: float) -> int:
        return max(MULTIPLE, round(length / multiple) * multiple)

    return GridSize(rounded(side / math.sqrt(aspect)), rounded(side * math.sqrt(aspect)))
