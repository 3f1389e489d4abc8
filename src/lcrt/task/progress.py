"""What is told while a model is made."""

import msgspec

NO_DIGEST = "0" * 19
"""Stands for a digest that is known only at the end; clients show a bar for a step that has one."""


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step that was taken; bytes ``completed`` of ``total`` where there is something to count."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0
