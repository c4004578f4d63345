"""The errors that this package raises on purpose.

::

    DiffSegError
    ├── InvalidAttentionError     attention maps of a wrong shape, or not probabilities
    ├── InvalidSettingError       a threshold, an anchor count, a size ... outside its range
    ├── UnsupportedModelError     a model whose attention cannot be read
    └── CaptureError              the model ran, but its attention did not arrive as expected
"""

ANOTHER_MODEL = "Masks fit any image: capture with another model."
"""How the refusal of a model as a whole ends."""


class DiffSegError(Exception):
    """Base of every error that DiffSeg raises on purpose."""


class InvalidAttentionError(DiffSegError, ValueError):
    """Attention maps that have a wrong shape, are not probabilities, or are missing."""


class InvalidSettingError(DiffSegError, ValueError):
    """A setting outside the range in which it means something."""


class UnsupportedModelError(DiffSegError, TypeError):
    """A model whose self-attention cannot be read."""


class CaptureError(DiffSegError, RuntimeError):
    """The model ran, but its self-attention did not arrive as expected."""
