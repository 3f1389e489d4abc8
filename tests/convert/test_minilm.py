"""The real all-MiniLM through the converter: its own tokenizer's tokens, and the vectors of its weights."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from ci.minilm import MINILM, NAME
from ci.models import FOLDER
from lcrt.convert.run import convert
from lcrt.native.embed import Embedder
from lcrt.native.model import Model
from tests.native import bert

ORIGINAL = FOLDER / NAME
TEXTS = (
    "",
    "hello world",
    "The quick brown fox jumps over the lazy dog.",
    "Quarterly revenue rose 12.5% year-over-year; café naïve Ångström ÀÉÎÕÜ ß ŒUVRE.",
    "def main(args):\n\tprint(f'{args!r}')  # don't",
    "こんにちは世界 你好\uff0c世界\uff01",
    "Привет, мир! Γειά Κόσμε مرحبا שלום",
    "unbelievably antidisestablishmentarianism supercalifragilisticexpialidocious",
    "  many   spaces\u00a0and\u2003kinds\r\nof them  ",
    "$100 + €50 = £?? <html> & [brackets] {braces} | ~tilde ^caret `tick`",
    "e\u0301te\u0301 and \u0130stanbul",
    "\U0001f600 smile \U0001f680 and ∑ ∞ ≠ → ™ ©",
    "x1y2z3 3.14159 1,000,000 2026-11-24T17:44:20Z user@example.com https://example.com/a?b=c#d",
)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    if not ORIGINAL.is_dir():
        pytest.fail("the embedding model is not there: python -m ci.minilm gets it")
    output = tmp_path_factory.mktemp("minilm") / "minilm.gguf"
    for _ in convert(ORIGINAL, output, file_type="F32"):
        pass
    with Model(output) as loaded:
        yield loaded
    output.unlink()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = Tokenizer.from_file(str(ORIGINAL / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return made


def mixed(seed: int) -> str:
    """Words of all texts, cut and put together anew."""
    rng = random.Random(seed)
    words = " ".join(TEXTS).split()
    return "".join(rng.choice(words)[: rng.randint(1, 12)] + rng.choice(["", " ", "-", ", "]) for _ in range(40))


@pytest.mark.parametrize("text", [*TEXTS, *map(mixed, range(200))])
def test_tokens_are_those_of_the_models_own_tokenizer(text: str, minilm: Model, tokenizer: Tokenizer) -> None:
    assert list(minilm.vocab.tokenise(text, parse_special=False)) == tokenizer.encode(text).ids


def test_vectors_are_those_of_the_weights(minilm: Model) -> None:
    original = bert.weights(ORIGINAL / MINILM.file)
    tokens = [list(minilm.vocab.tokenise(text)) for text in TEXTS]
    with Embedder(minilm) as embedder:
        rows = embedder.run([token for text in tokens for token in text], [len(text) for text in tokens]).copy()
    for text, row in zip(tokens, rows, strict=True):
        reference = bert.vector(original, text)
        assert np.abs(row / np.linalg.norm(row) - reference).max() < 1e-3


def test_the_file_in_half_precision_is_half_as_large(minilm: Model, tmp_path: Path) -> None:
    for _ in convert(ORIGINAL, tmp_path / "half.gguf", name=NAME):
        pass
    with Model(tmp_path / "half.gguf") as half:
        assert half.meta("general.name") == NAME
        assert half.info.n_params == minilm.info.n_params
        assert half.info.size < 0.52 * minilm.info.size
