"""The progress of work on one image after the other, and its end where the user interrupts it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import comfy.model_management
import comfy.utils

from ..diffseg_core import callbacks


def stop_if_interrupted() -> None:
    """What the core calls while it works: raises ComfyUI's exception where the user has interrupted."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def progress_over(images: int) -> AbstractContextManager[None]:
    """Within, the core moves the node's progress bar over its images, and ends where a user interrupts."""
    bar = comfy.utils.ProgressBar(images)

    def on_image(done: int) -> None:
        stop_if_interrupted()
        bar.update_absolute(done)

    return callbacks(stop_if_interrupted, on_image)
