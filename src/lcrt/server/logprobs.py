"""Logprobs as both dialects that have them spell them."""

import msgspec

from lcrt.core.event import Logprob, TokenLogprob


class WireLogprob(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token with its probability; ``bytes`` are those of its text."""

    token: str
    logprob: float
    bytes: tuple[int, ...] = ()
    top_logprobs: tuple["WireLogprob", ...] = ()


def wire_logprobs(entries: tuple[TokenLogprob, ...]) -> tuple[WireLogprob, ...]:
    """Spell logprobs with their alternatives."""
    return tuple(_wire(entry.chosen, tuple(_wire(top) for top in entry.top)) for entry in entries)


def _wire(entry: Logprob, top: tuple[WireLogprob, ...] = ()) -> WireLogprob:
    return WireLogprob(entry.token, entry.logprob, tuple(entry.bytes), top)
