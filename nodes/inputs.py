"""What nodes do with their inputs alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io

from ..diffseg_core import DiffSegError, Images, InvalidSettingError, Segments, as_images
from ..diffseg_core.checks import Choice, Number, Switch
from ..diffseg_core.images import check_images
from .types import CapturedAttention


def checked_images(image: torch.Tensor) -> Images:
    """The images of an image input, to be handed on in place of it: they are looked at once.

    Args:
        image: ``[B, H, W, C]``, C of 1, 3 or 4. Values beyond 0..1, as ComfyUI's bicubic resizing gives at
            edges, are clamped, as Save Image does.

    Raises:
        InvalidSettingError: another number of channels, or values that are not finite.
    """
    return as_images(image, "image", clamp=True)


def images_of_capture(image: torch.Tensor, attention: CapturedAttention) -> Images:
    """The images of an image input that went into a capture.

    Args:
        image: as of `checked_images`.
        attention: the capture.

    Raises:
        InvalidSettingError: as of `checked_images`, or other images than those of the capture.
    """
    images = checked_images(image)
    check_images(images, attention.maps.batch_size, attention.image_size, "attention")
    return images


def check_same_images(segments: Segments, attention: CapturedAttention) -> None:
    """Refuse attention of other images than the segments are of.

    Raises:
        InvalidSettingError: their sizes or numbers differ.
    """
    counts = (segments.batch_size, attention.maps.batch_size)
    if attention.image_size != segments.image_size or counts[0] != counts[1]:
        raise InvalidSettingError(
            f"Expected attention of the images that the segments are of ({counts[0]} of "
            f"{segments.image_size}), got that of {counts[1]} of {attention.image_size}. Connect the "
            "attention that the segments come from."
        )


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
    """The input of a setting that is one of some texts; arguments as of `number_input`."""
    return io.Combo.Input(
        name, options=list(setting.options), default=setting.default, tooltip=tooltip, **more
    )


def switch_input(name: str, setting: Switch, tooltip: str, **more: Any) -> io.Boolean.Input:
    """The input of a setting that is on or off; arguments as of `number_input`."""
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
