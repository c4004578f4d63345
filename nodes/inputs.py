"""What nodes do with their inputs alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..diffseg_core import DiffSegError, Images, InvalidSettingError, as_images, draw_label_map
from ..diffseg_core.checks import Choice, Number, Switch
from .comfy.api import io
from .types import CapturedAttention, CapturedSegments, SegmentsType


def checked_images(image: torch.Tensor) -> Images:
    """The images of an image input, to be handed on in place of it: they are looked at once.

    Args:
        image: ``[B, H, W, C]``, C of 1, 3 or 4. Values beyond 0..1, as ComfyUI's bicubic resizing gives at
            edges, are clamped, as Save Image does.

    Raises:
        InvalidSettingError: another number of channels, or values that are not finite.
    """
    return as_images(image, clamp=True)


def captured_images(segments: CapturedSegments) -> Images | None:
    """The images of segments, checked; None where a latent was captured."""
    image = segments.capture.image
    return None if image is None else checked_images(image)


def images_to_draw_on(segments: CapturedSegments) -> Images:
    """The images of segments, or where a latent was captured the segments' flat colours."""
    return captured_images(segments) or as_images(draw_label_map(segments.segments))


def image_of(image: torch.Tensor | None, capture: CapturedAttention) -> torch.Tensor | None:
    """The image that is connected, or without one the captured; None without either."""
    return capture.image if image is None else image


def required_image(image: torch.Tensor | None, capture: CapturedAttention) -> torch.Tensor:
    """The same, where there must be one.

    Raises:
        InvalidSettingError: there is neither.
    """
    image = image_of(image, capture)
    if image is None:
        raise InvalidSettingError(
            "Expected an image, got none: this attention was captured from a latent. Connect the image here, "
            "or vae and image in place of the latent at DiffSeg Capture Attention."
        )
    return image


def model_and_clip(capture: CapturedAttention) -> tuple[Any, Any]:
    """The MODEL of a capture and its CLIP, to look for words with.

    Raises:
        InvalidSettingError: the capture was made without a CLIP.
    """
    if capture.clip is None:
        raise InvalidSettingError(
            "Expected the CLIP of the captured model to look for words with, got a capture without one. "
            "Connect clip at DiffSeg Capture Attention."
        )
    return capture.model, capture.clip


def segments_input(tooltip: str = "From any node that gives segments.") -> Any:
    """The input of segments."""
    return SegmentsType.Input("segments", tooltip=tooltip)


def number_input(name: str, setting: Number, tooltip: str, **more: Any) -> io.Int.Input | io.Float.Input:
    """The input of a setting that is a number; a share is entered in percent.

    Args:
        name: of the input.
        setting: that has its range and its default.
        tooltip: of the input.
        more: further arguments of the input, such as ``step``.
    """
    lowest, highest = setting.limits
    kind = io.Int.Input if setting.whole else io.Float.Input
    more = {"default": setting.entered_default, **more}
    return kind(name, min=lowest, max=highest, tooltip=tooltip, **more)


def choice_input(name: str, setting: Choice[Any], tooltip: str, **more: Any) -> io.Combo.Input:
    """The input of a setting that is one of some texts; arguments: see `number_input`."""
    return io.Combo.Input(
        name, options=list(setting.options), default=setting.default, tooltip=tooltip, **more
    )


def switch_input(name: str, setting: Switch, tooltip: str, **more: Any) -> io.Boolean.Input:
    """The input of a setting that is on or off; arguments: see `number_input`."""
    return io.Boolean.Input(name, default=setting.default, tooltip=tooltip, **more)


def image_index_input(tooltip: str) -> io.Int.Input:
    """The input that chooses one image of a batch."""
    return io.Int.Input("image_index", default=0, min=0, max=4095, tooltip=tooltip)


def refusal(read: Callable[[], object]) -> bool | str:
    """What a node's ``validate_inputs`` answers: True, or why an input cannot be read.

    Args:
        read: reads the inputs, and raises a `DiffSegError` where they are wrong.
    """
    try:
        read()
    except DiffSegError as error:
        return str(error)
    return True
