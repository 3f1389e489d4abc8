"""What all objects over a C pointer share: closed once, freed when nobody is inside."""

from types import TracebackType
from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class Handle:
    """Base of the objects over a C pointer; a context manager that closes at the end.

    Everything but ``close`` and ``closed`` raises ``ClosedError`` after ``close``.
    """

    def close(self) -> None:
        """Free everything now, or as soon as running calls of other threads have returned. Any number of times."""

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
