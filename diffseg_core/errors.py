"""The errors that this package raises on purpose.

::

    DiffSegError
    ├── InvalidAttentionError     attention maps of a wrong shape, or not probabilities
    ├── InvalidSettingError       a threshold, an anchor count, a size ... outside its range
    ├── UnsupportedModelError     a model whose attention cannot be read
    ├── CaptureError              the model ran, but its attention did not arrive as expected
    ├── UnreadablePictureError    a file that is no picture, or a damaged one
    ├── DatasetError              a data set whose files are missing or not as expected
    └── CrewError                 the processes that share the work of a run cannot be had
"""


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


class UnreadablePictureError(DiffSegError, OSError):
    """A file that is not a picture, or a damaged one."""


class DatasetError(DiffSegError, OSError):
    """A data set whose files are missing, or not what they should be."""


class CrewError(DiffSegError, RuntimeError):
    """The processes that share the work of a run cannot be had."""
