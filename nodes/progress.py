"""The progress of work on one image after the other, and its end where the user interrupts it."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management
import comfy.utils


def stop_if_interrupted() -> None:
    """What the core calls while it works: raises ComfyUI's exception where the user has interrupted."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def progress_over(images: int) -> Callable[[int], None]:
    """What the core calls after each image, with the number done: it moves the node's progress bar.

    Args:
        images: how many there are.

    Returns:
        the function; where the user has interrupted, it raises ComfyUI's exception for that.
    """
    bar = comfy.utils.ProgressBar(images)

    def on_image(done: int) -> None:
        stop_if_interrupted()
        bar.update_absolute(done)

    return on_image
