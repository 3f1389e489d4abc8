"""Makes a conversation, and then a prompt, short enough for the context."""

from collections.abc import Callable, Sequence

from lcrt.core.message import Message

Tokens = Sequence[int]


def fit(
    messages: Sequence[Message], n_max: int, measure: Callable[[Sequence[Message]], int | None]
) -> tuple[Message, ...]:
    """Drop the oldest turns until the rest takes at most ``n_max`` tokens.

    System messages stay, in front; the last message always stays, even when it alone is too
    long. ``measure`` gives the tokens of the rendered messages, None when the template refuses
    them. Lengths of the single messages say where to look; what is returned has been measured.
    """
    whole = measure(messages)
    if whole is None or whole <= n_max or len(messages) < 2:
        return tuple(messages)
    last = len(messages) - 1
    first = _guess(messages, whole - n_max, whole)
    if _fits(messages, first, n_max, measure):
        while first > 1 and _fits(messages, first - 1, n_max, measure):
            first -= 1
    else:
        first += 1
        while first < last and not _fits(messages, first, n_max, measure):
            first += 1
    return kept(messages, min(first, last))


def kept(messages: Sequence[Message], first: int) -> tuple[Message, ...]:
    """The messages from ``first`` on, and the system messages before it."""
    return (*(m for m in messages[:first] if m.role == "system"), *messages[first:])


def _fits(
    messages: Sequence[Message], first: int, n_max: int, measure: Callable[[Sequence[Message]], int | None]
) -> bool:
    n_tokens = measure(kept(messages, first))
    return n_tokens is not None and n_tokens <= n_max


def _guess(messages: Sequence[Message], excess: int, whole: int) -> int:
    """The first message to keep, from the lengths of the texts alone; 1 .. last."""
    lengths = [len(m.content) + len(m.thinking) + sum(len(c.arguments) for c in m.tool_calls) for m in messages]
    per_char = whole / max(sum(lengths), 1)
    dropped = 0.0
    for index, message in enumerate(messages[:-1]):
        if message.role != "system":
            dropped += lengths[index] * per_char
        if dropped >= excess:
            return index + 1
    return len(messages) - 1


def cut(tokens: Tokens, n_ctx: int, n_keep: int) -> tuple[Tokens, Tokens]:
    """The beginning and the end of a prompt that is too long, in two parts.

    ``n_keep`` tokens in front stay, negative means as many as possible; of the rest the last ones,
    so that half of what is not kept is free for the answer. Fewer than ``n_ctx`` tokens in all.
    """
    n_max = n_ctx - 1
    n_front = n_max if n_keep < 0 else min(n_keep, n_max)
    n_all = n_ctx - max((n_ctx - n_front) // 2, 1)
    return tokens[:n_front], tokens[len(tokens) - (n_all - n_front) :]
