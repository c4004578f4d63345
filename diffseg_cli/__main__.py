"""``python -m diffseg_cli`` is the command ``diffseg``."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())
