import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.errors import ClosedError, InvalidRequest
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Typed
from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from tests.native import tiny, tiny_harmony


def test_a_text_becomes_tokens_with_the_beginning_that_the_model_wants(model: Model) -> None:
    vocab = model.vocab
    assert vocab.adds_bos
    letters = [tiny.TOKENS.index(letter) for letter in "abc"]
    assert list(vocab.tokenise("abc")) == [vocab.bos, *letters]
    assert list(vocab.tokenise("abc", add_special=False)) == letters


def test_control_tokens_are_read_on_request(model: Model) -> None:
    vocab = model.vocab
    assert list(vocab.tokenise("a</s>", add_special=False)) == [tiny.TOKENS.index("a"), vocab.eos]
    assert vocab.eos not in vocab.tokenise("a</s>", add_special=False, parse_special=False)


def test_marks_that_are_always_shown_are_read_on_request_like_others(tmp_path: Path) -> None:
    text = "a<|end|><|start|>b <|message|"
    with Model(tiny_harmony.model(tmp_path / "channels.gguf"), ModelParams(vocab_only=True)) as model:
        vocab = model.vocab
        read = vocab.tokenise(text, add_special=False)
        spelled = vocab.tokenise(text, add_special=False, parse_special=False)
        assert [vocab.piece(token).decode() for token in read[1:3]] == ["<|end|>", "<|start|>"]
        assert not any(vocab.piece(token).decode() in tiny_harmony.MARKS for token in spelled)
        assert vocab.text(read) == vocab.text(spelled) == text


def test_a_mark_is_spelled_behind_others_that_the_vocabulary_does_not_know(tmp_path: Path) -> None:
    unknown, text = "<|start|>", "<|start|>a<|end|>b"
    tokens = ["<|unused|>" if token == unknown else token for token in tiny_harmony.tokens()]
    path = tiny_harmony.model(tmp_path / "channels.gguf", tokenizer__ggml__tokens=tokens)
    with Model(path, ModelParams(vocab_only=True)) as model:
        vocab = model.vocab
        spelled = vocab.tokenise(text, add_special=False, parse_special=False)
        assert vocab.piece(vocab.tokenise("<|end|>", add_special=False)[0]) == b"<|end|>"
        assert not any(vocab.piece(token).decode() in tiny_harmony.MARKS for token in spelled)
        assert vocab.text(spelled) == text


@pytest.mark.parametrize(("piece", "n"), [("<|end|>", 300), ("<|", 2**19)])
def test_many_marks_and_what_begins_like_them_are_spelled(tmp_path: Path, piece: str, n: int) -> None:
    text = piece * n
    with Model(tiny_harmony.model(tmp_path / "channels.gguf"), ModelParams(vocab_only=True)) as model:
        spelled = model.vocab.tokenise(text, add_special=False, parse_special=False)
        assert model.vocab.text(spelled) == text


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\u2581"), max_size=40))
def test_every_text_survives_the_way_there_and_back(model: Model, text: str) -> None:
    vocab = model.vocab
    tokens = vocab.tokenise(text, add_special=False, parse_special=False)
    assert b"".join(vocab.piece(token) for token in tokens).decode() == text
    assert vocab.text(tokens) == text


def test_tokens_are_integers_that_numpy_takes_without_a_copy(model: Model) -> None:
    tokens = model.vocab.tokenise("abc")
    view = np.asarray(tokens)
    view[0] = 7
    assert tokens[0] == 7
    assert view.dtype == np.int32


@pytest.mark.parametrize(
    "kind", [list, tuple, lambda t: array("i", t), lambda t: np.array(t, np.int32), lambda t: np.array(t, np.int64)]
)
def test_tokens_come_in_any_sequence(model: Model, kind: Callable[[list[int]], Any]) -> None:
    assert model.vocab.text(kind([tiny.TOKENS.index(letter) for letter in "hey"])) == "hey"


@pytest.mark.parametrize("pre", ["tekken", "gpt-4o", "deepseek-v3", "exaone-moe"])
@pytest.mark.parametrize("letters", ["a", " ", "$", "ab "])
def test_a_word_of_any_length_is_survived(tmp_path: Path, pre: str, letters: str) -> None:
    path = tiny.byte_pairs(tmp_path / "bytes.gguf", pre)
    code = (
        "import sys; from lcrt import Model, ModelParams; "
        "text = sys.argv[2] * 200_000; vocab = Model(sys.argv[1], ModelParams(vocab_only=True)).vocab; "
        "tokens = vocab.tokenise(text); assert (tokens[0], tokens[-1]) == (1, 2); "
        "assert b''.join(vocab.piece(token) for token in tokens[1:-1]).decode() == text"
    )
    subprocess.run([sys.executable, "-c", code, str(path), letters], check=True)


def test_a_long_text_has_the_tokens_of_its_words(real_model: Model) -> None:
    vocab = real_model.vocab
    words = [f" word{i % 977}ly," for i in range(20_000)]
    tokens = {word: vocab.tokenise(word, add_special=False).tolist() for word in words}
    assert vocab.tokenise("".join(words), add_special=False).tolist() == [t for word in words for t in tokens[word]]


@pytest.mark.parametrize("letters", ["é", "字", "🙂", "a\n", "\n", "a  "])
def test_a_long_text_is_never_cut_within_a_character(tmp_path: Path, letters: str) -> None:
    with Model(tiny.byte_pairs(tmp_path / "bytes.gguf", "gpt-2"), ModelParams(vocab_only=True)) as loaded:
        text = "x" + letters * (200_000 // len(letters.encode()))
        tokens = loaded.vocab.tokenise(text)
        assert b"".join(loaded.vocab.piece(token) for token in tokens[1:-1]).decode() == text


def test_control_tokens_are_written_out_on_request(model: Model) -> None:
    vocab = model.vocab
    assert vocab.text([2], special=True) == "</s>"
    assert vocab.text([2], special=False) == ""
    assert (vocab.piece(2), vocab.piece(2, special=False)) == (b"</s>", b"")
    assert vocab.is_control(2)
    assert vocab.is_eog(2)
    assert not vocab.is_eog(5)


def test_bytes_that_are_no_text_are_replaced_in_text_only(model: Model) -> None:
    half = tiny.TOKENS.index("<0xC3>")
    assert model.vocab.piece(half) == b"\xc3"
    assert model.vocab.text([half]) == "\ufffd"


@pytest.mark.parametrize("token", [-1, len(tiny.TOKENS), 2**31 - 1])
def test_unknown_tokens_are_refused(model: Model, token: int) -> None:
    with pytest.raises(InvalidRequest, match="not in the vocabulary"):
        model.vocab.text([token])
    with pytest.raises(InvalidRequest):
        model.vocab.piece(token)
    assert not model.vocab.is_eog(token)


@pytest.mark.parametrize("tokens", [[2**31], ["a"], 5, [[1, 2]]])
def test_what_is_no_list_of_tokens_is_refused(model: Model, tokens: list[int]) -> None:
    with pytest.raises(InvalidRequest):
        model.vocab.text(tokens)


def test_the_vocabulary_of_a_closed_model_cannot_be_used(own_model: Model) -> None:
    vocab = own_model.vocab
    own_model.close()
    with pytest.raises(ClosedError):
        vocab.tokenise("a")
    with pytest.raises(ClosedError):
        _ = vocab.bos


def test_tokens_that_a_model_suppresses_are_known(model: Model, tmp_path: Path) -> None:
    assert model.vocab.suppressed == ()
    path = tiny.llama(tmp_path / "shy.gguf", tokenizer__ggml__suppress_tokens=Typed(ValueType.INT32, [7, 9]))
    with Model(path, ModelParams(vocab_only=True)) as shy:
        assert shy.vocab.suppressed == (7, 9)
