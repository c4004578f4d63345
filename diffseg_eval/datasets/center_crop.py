"""The benchmark's view of an image: its central square, at one resolution for all images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from diffseg_core.errors import InvalidSettingError

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class CenterCrop:
    """The crop of DiffSeg's and PiCIE's protocol.

    With c = min(H, W) the square starts at ((H − c) // 2, (W − c) // 2). Images are resized bilinearly
    with half-pixel centres and no antialiasing; labels take the pixel floor((i + ½) · c / resolution).

    DiffSeg's reference (its ``data/coco/coco_data.py``) does the same in TensorFlow, whose resized image
    goes to the model as float32. Here it is an image of 8 bits, at most half a grey level from that, so that
    every method can have it. TensorFlow's JPEG decoder gives other grey levels than Pillow's; both are within
    what the format allows.

    DiffCut's code (its ``dataloader/iterator.py``, with torchvision) takes one pixel less, c = min(H, W) − 1,
    and rounds where the square starts, halves to the even number; the rest is the same.

    Attributes:
        resolution: of the result, side in pixels, ≥ 1.
        is_diffcut: whether the square is that of DiffCut's code.

    Raises:
        InvalidSettingError: a resolution below 1.
    """

    resolution: int = 512
    is_diffcut: bool = False

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise InvalidSettingError(f"Expected a resolution of at least 1 pixel, got {self.resolution}.")

    def of_image(self, image: Image.Image) -> Image.Image:
        """The image's central square, mode RGB, ``resolution`` by ``resolution``."""
        pixels = torch.from_numpy(self._square(np.array(image.convert("RGB")))).double()  # exact sums
        size = (self.resolution, self.resolution)
        resized = F.interpolate(pixels.permute(2, 0, 1)[None], size=size, mode="bilinear")[0]
        return Image.fromarray(resized.permute(1, 2, 0).round().to(torch.uint8).numpy())

    def of_labels(self, labels: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """The label map's central square, ``[resolution, resolution]``."""
        square = self._square(labels)
        nearest = (2 * np.arange(self.resolution) + 1) * len(square) // (2 * self.resolution)
        return square[nearest[:, None], nearest]

    def _square(self, pixels: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        height, width = pixels.shape[:2]
        if self.is_diffcut:
            side = max(1, min(height, width) - 1)
            top, left = round((height - side) / 2), round((width - side) / 2)
        else:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
