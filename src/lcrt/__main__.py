"""``python -m lcrt`` and the command ``lcrt``."""

import sys

from lcrt.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
