"""What is called while long work goes on: set once, for all work within.

>>> done = []
>>> with callbacks(on_image=done.append):
...     image_done(1)
>>> done
[1]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_on_step: ContextVar[Callable[[], object]] = ContextVar("on_step", default=lambda: None)
_on_image: ContextVar[Callable[[int], object]] = ContextVar("on_image", default=lambda done: None)


@contextmanager
def callbacks(
    on_step: Callable[[], object] | None = None, on_image: Callable[[int], object] | None = None
) -> Iterator[None]:
    """Have functions called by this package's work within, in this thread; what they raise ends it.

    Args:
        on_step: called many times, between steps of a fraction of a second; None leaves the one that is set.
        on_image: called after each image of a batch with the number done; None likewise.
    """
    step_token = _on_step.set(on_step or _on_step.get())
    image_token = _on_image.set(on_image or _on_image.get())
    try:
        yield
    finally:
        _on_step.reset(step_token)
        _on_image.reset(image_token)


def step() -> None:
    """Between two steps of long work."""
    _on_step.get()()


def image_done(number: int) -> None:
    """After an image of a batch, with the number done."""
    _on_image.get()(number)
