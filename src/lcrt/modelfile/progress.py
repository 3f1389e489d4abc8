"""What is told while a model is made."""

import msgspec


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step that was taken; bytes ``completed`` of ``total`` where there is something to count."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0
