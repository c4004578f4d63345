"""What nodes do with their inputs alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from ..diffseg_core import DiffSegError, GridSize, Images, InvalidSettingError, as_images, draw_label_map
from ..diffseg_core.checks import Choice, Number, Switch
from .comfy.api import io
from .types import CapturedAttention, CapturedSegments, SegmentsType

PROPORTIONS = 0.01  # by this share those of a scaled image may differ: its sides are rounded


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


def required_images(capture: CapturedAttention) -> Images:
    """The images of a capture, checked.

    Raises:
        InvalidSettingError: there are none.
    """
    if capture.image is None:
        raise InvalidSettingError(
            "Expected an image, got none: this attention was captured from a latent. Connect the image here, "
            "or vae and image in place of the latent at DiffSeg Capture Attention."
        )
    return checked_images(capture.image)


def capture_on(capture: CapturedAttention, image: torch.Tensor | None) -> CapturedAttention:
    """The capture with the image that is connected in place of its own; as it is without one.

    Args:
        capture: as it came.
        image: IMAGE of any size, an upscaled one for instance, but of the captured image's proportions.

    Raises:
        InvalidSettingError: other proportions.
    """
    if image is None or image is capture.image:
        return capture
    captured = capture.image_size
    size = GridSize(*image.shape[1:3]) if image.ndim == 4 else captured  # what is no image is refused later
    across, down = size.width * captured.height, size.height * captured.width
    if abs(across - down) > PROPORTIONS * down:
        raise InvalidSettingError(
            f"Expected an image of the proportions of the captured one, {captured} pixels, got {size}. "
            "Connect the image that went into the capture, or one that was scaled from it without cropping."
        )
    return replace(capture, image=image, image_size=size)


def segments_on(segments: CapturedSegments, image: torch.Tensor | None) -> CapturedSegments:
    """Segments on the image that is connected, at its size; as they are without one. See `capture_on`."""
    capture = capture_on(segments.capture, image)
    return CapturedSegments(segments.segments.resized(capture.image_size), capture)


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
