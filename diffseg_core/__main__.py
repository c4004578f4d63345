"""``python -m diffseg_core`` is the command ``diffseg``."""

import sys

from .command_line import main

if __name__ == "__main__":
    sys.exit(main())
