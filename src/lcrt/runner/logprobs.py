"""Tokens with their log-probabilities, as text and bytes."""

from collections.abc import Sequence

from lcrt.core.event import Logprob, TokenLogprob
from lcrt.runner.job import Vocab


class Logprobs:
    """Remembers the pieces of tokens it has seen. One thread."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._pieces: dict[int, tuple[str, bytes]] = {}

    def groups(self, entries: Sequence[tuple[int, float]], n_top: int) -> tuple[TokenLogprob, ...]:
        """Cut entries into groups of ``1 + n_top``: a token, then its alternatives."""
        width = 1 + n_top
        return tuple(self._group(entries[start : start + width]) for start in range(0, len(entries), width))

    def _group(self, entries: Sequence[tuple[int, float]]) -> TokenLogprob:
        chosen, *top = (self._logprob(token, value) for token, value in entries)
        return TokenLogprob(chosen, tuple(top))

    def _logprob(self, token: int, value: float) -> Logprob:
        piece = self._pieces.get(token)
        if piece is None:
            data = self._vocab.piece(token)
            piece = self._pieces[token] = data.decode("utf-8", "replace"), data
        return Logprob(piece[0], value, piece[1])
