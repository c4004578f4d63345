"""The errors of the command, beside those of `diffseg_core.errors`.

::

    DiffSegError
    ├── UnreadableImageError    a file that is no image, or a damaged one
    ├── DatasetError              a dataset whose files are missing or not as expected
    └── ExecutorError                 the processes that share the work of a run cannot be had
"""

from diffseg_core.errors import DiffSegError


class UnreadableImageError(DiffSegError, OSError):
    """A file that is not an image, or a damaged one."""


class DatasetError(DiffSegError, OSError):
    """A dataset whose files are missing, or not what they should be."""


class ExecutorError(DiffSegError, RuntimeError):
    """The processes that share the work of a run cannot be had."""
