"""What the terminal can do, and the two ways to write to it: results on stdout, talk on stderr."""

import os
import shutil
import sys


def say(text: str) -> None:
    """Write a line of talk to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """Write a part of the result to stdout at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def is_typed() -> bool:
    """True when a person can type at stdin."""
    return sys.stdin is not None and sys.stdin.isatty()


def piped_text() -> str:
    """Return all that was piped or redirected to stdin, nothing for a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def columns() -> int:
    """Width of the terminal; 80 when there is none."""
    return shutil.get_terminal_size().columns


def has_colour() -> bool:
    """True when stdout is a terminal whose user did not say no to colour."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def grey(text: str) -> str:
    """Text in a weak colour where colours are shown."""
    return f"\x1b[90m{text}\x1b[0m" if text and has_colour() else text
