"""Log lines on stderr: ``lcrt.<package>`` loggers, one line per request at INFO, never content."""

import logging
import sys

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def setup(level: str) -> None:
    """Send what lcrt and its libraries log to stderr; ValueError for an unknown level."""
    if level.lower() not in LEVELS:
        raise ValueError(f"unknown log level `{level}`, known are {', '.join(LEVELS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("lcrt").setLevel(LEVELS[level.lower()])
