"""Entries become groups of text and bytes."""

from lcrt.core.event import Logprob, TokenLogprob
from lcrt.runner.logprobs import Logprobs


class Pieces:
    """A vocabulary with half characters; counts how often it is asked."""

    adds_bos = False
    fill = None

    def __init__(self) -> None:
        self.n = 0

    def tokenise(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        return [ord(c) for c in text]

    def text(self, tokens: object) -> str:
        return str(tokens)

    def piece(self, token: int) -> bytes:
        self.n += 1
        return bytes([token])


def test_each_token_has_its_alternatives() -> None:
    entries = [(97, -1.0), (98, -1.5), (99, -2.0), (100, -3.0)]
    first, second = Logprobs(Pieces()).groups(entries, 1)
    assert first == TokenLogprob(Logprob("a", -1.0, b"a"), (Logprob("b", -1.5, b"b"),))
    assert second == TokenLogprob(Logprob("c", -2.0, b"c"), (Logprob("d", -3.0, b"d"),))


def test_without_alternatives_every_entry_is_a_token() -> None:
    assert [group.top for group in Logprobs(Pieces()).groups([(97, -1.0), (98, -2.0)], 0)] == [(), ()]


def test_half_a_character_keeps_its_bytes() -> None:
    [group] = Logprobs(Pieces()).groups([(0xC3, -1.0)], 0)
    assert (group.chosen.token, group.chosen.bytes) == ("\ufffd", b"\xc3")


def test_a_piece_is_looked_up_once() -> None:
    vocab = Pieces()
    Logprobs(vocab).groups([(97, -1.0)] * 5, 0)
    assert vocab.n == 1
