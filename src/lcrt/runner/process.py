"""Entry of a runner process: ``python -m lcrt.runner.process LEVEL FD``."""

import sys

from lcrt.runner.child import main
from lcrt.runner.model import load_model

if __name__ == "__main__":
    sys.exit(main(sys.argv, load_model))
