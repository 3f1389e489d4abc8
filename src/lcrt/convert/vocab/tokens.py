"""The list of tokens, as GGUF has it: text, type and score of each id."""

from enum import IntEnum

from lcrt.convert.family import Metadata
from lcrt.errors import InvalidRequest
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Typed

TOKENS_MAX = 1 << 22
_UNUSED_SCORE = -10000.0
ADDED_SCORE = -1000.0
_SPACE = "\u2581"
_LOOK_SPECIAL = (("<|", "|>"), ("<\uff5c", "\uff5c>"), ("<unused", ">"))
_ARE_SPECIAL = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")


class TokenType(IntEnum):
    """What a token is for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Tokens:
    """Exactly as many tokens as the model has embeddings; what no file names stays unused."""

    def __init__(self, n_tokens: int) -> None:
        if n_tokens > TOKENS_MAX:
            raise InvalidRequest(f"a vocabulary of {n_tokens} tokens is more than can be converted")
        self.texts = [f"[PAD{i}]" for i in range(n_tokens)]
        self.types = [TokenType.UNUSED] * n_tokens
        self.scores = [_UNUSED_SCORE] * n_tokens

    def put(self, index: int, text: str, kind: TokenType, score: float = 0.0) -> None:
        """Set a token; one that the model has no embedding for is left out."""
        if 0 <= index < len(self.texts):
            self.texts[index], self.types[index], self.scores[index] = text, kind, score

    def add(self, index: int, text: str, *, special: bool) -> None:
        """Set a token that was added beside the trained ones: found in texts as it stands."""
        if special or looks_special(text):
            self.put(index, text, TokenType.CONTROL, ADDED_SCORE)
        else:
            self.put(index, text.replace(_SPACE, " "), TokenType.USER_DEFINED, ADDED_SCORE)

    def index(self, text: str) -> int | None:
        """Find the token with a text."""
        try:
            return self.texts.index(text)
        except ValueError:
            return None

    def keys(self, model: str, pre: str, *, scored: bool) -> Metadata:
        """Make the keys of the list."""
        self._part_twins()
        found: Metadata = {
            "tokenizer.ggml.model": model,
            "tokenizer.ggml.pre": pre,
            "tokenizer.ggml.tokens": Typed(ValueType.STRING, self.texts),
            "tokenizer.ggml.token_type": Typed(ValueType.INT32, self.types),
        }
        if scored:
            found["tokenizer.ggml.scores"] = Typed(ValueType.FLOAT32, self.scores)
        return found

    def _part_twins(self) -> None:
        """Rename tokens without a text or with that of a later one: the engine takes each text once."""
        seen: set[str] = set()
        for i in range(len(self.texts) - 1, -1, -1):
            if not self.texts[i] or self.texts[i] in seen:
                self.put(i, f"[UNUSED{i}]", TokenType.UNUSED, _UNUSED_SCORE)
            seen.add(self.texts[i])


def looks_special(text: str) -> bool:
    """Tell by its form that a token controls, though its file does not say so."""
    return text in _ARE_SPECIAL or any(text.startswith(head) and text.endswith(tail) for head, tail in _LOOK_SPECIAL)
