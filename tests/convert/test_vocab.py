"""Converted tokenizers cut texts into the tokens that their own library cuts them into."""

import random
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lcrt.convert.jsonfile import read_object
from lcrt.convert.vocab import splitting
from lcrt.errors import UnsupportedModel
from lcrt.gguf.reader import Header, read_header
from tests.convert import trained
from tests.convert.folders import write_json

SEED = 20261124
N_TEXTS = 300
RULES = {name: rule for rule, name in splitting._NAMES.items()}
CASED = ("tekken", "gpt-4o")
"""Rules that tell capitals from small letters: the engine's own expressions do so for ASCII only, and know no marks."""


def texts() -> list[str]:
    """Sentences, and words, letters, digits and spaces thrown together."""
    rng = random.Random(SEED)
    words = " ".join(trained.CORPUS).split(" ")
    found = [*trained.CORPUS, "", " ", "\n", "  \n  ", "a", " a", "'s", "I'LL", "12345678", "x\r\n\r\ny"]
    found += ["[tool]x[tool]", *(f"a{trained.RUN * length}b" for length in range(30))]
    for _ in range(N_TEXTS):
        parts = [
            rng.choice((rng.choice(words), rng.choice(trained.MARKS), " ", "  ", "\n", str(rng.randrange(10**6))))
            for _ in range(rng.randrange(1, 12))
        ]
        found.append("".join(parts))
    return found


def is_plain(text: str) -> bool:
    return not any(not c.isascii() and unicodedata.category(c) in ("Lu", "Mn", "Mc") for c in text)


def assert_same(folder: Path, tokenizer: Tokenizer, some: Iterable[str], controls: Sequence[str]) -> None:
    with trained.load(folder) as model:
        for text in some:
            found = list(model.vocab.tokenise(text, add_special=False, parse_special=False))
            assert found == tokenizer.encode(text, add_special_tokens=False).ids, repr(text)
            assert list(model.vocab.tokenise(text)) == tokenizer.encode(text).ids, repr(text)
        for text in (f"a{name}b" for name in controls):
            assert list(model.vocab.tokenise(text)) == tokenizer.encode(text).ids


def byte_pair_folder(folder: Path, name: str = "qwen2") -> Tokenizer:
    tokenizer = trained.byte_pairs(RULES[name].expressions, whole_words=RULES[name].whole_words)
    trained.write_folder(folder, tokenizer, bos="<|start|>", eos="<|end|>")
    return tokenizer


def edit_json(path: Path, **changes: object) -> None:
    write_json(path, read_object(path) | changes)


def header(folder: Path) -> Header:
    return read_header(trained.to_gguf(folder))


@pytest.mark.parametrize("name", RULES)
def test_byte_pairs_are_cut_alike_by_every_rule(name: str, tmp_path: Path) -> None:
    tokenizer = byte_pair_folder(tmp_path / "model", name)
    some = [text for text in texts() if name not in CASED or is_plain(text)]
    assert len(some) > N_TEXTS // 2
    assert_same(tmp_path / "model", tokenizer, some, trained.CONTROLS)
    assert read_header(tmp_path / "model.gguf").metadata["tokenizer.ggml.pre"] == name


@pytest.mark.parametrize(("digits", "name"), [(False, "gpt-2"), (True, "smollm")])
def test_the_rule_that_is_built_into_the_library_is_known(digits: bool, name: str, tmp_path: Path) -> None:
    tokenizer = trained.older_byte_pairs(digits=digits)
    trained.write_folder(tmp_path / "model", tokenizer, bos="<|start|>", eos="<|end|>")
    assert_same(tmp_path / "model", tokenizer, texts(), trained.CONTROLS)
    assert read_header(tmp_path / "model.gguf").metadata["tokenizer.ggml.pre"] == name


@pytest.mark.parametrize("prefix", [True, False])
def test_pieces_are_cut_alike(prefix: bool, tmp_path: Path) -> None:
    tokenizer = trained.pieces(prefix=prefix)
    trained.write_folder(tmp_path / "model", tokenizer, bos="<s>", eos="</s>")
    assert_same(tmp_path / "model", tokenizer, filter(None, texts()), ())
    assert read_header(tmp_path / "model.gguf").metadata["tokenizer.ggml.model"] == "llama"


def test_an_unknown_rule_is_refused_with_its_words(tmp_path: Path) -> None:
    tokenizer = trained.byte_pairs((r"\w+|\W+",), whole_words=False)
    trained.write_folder(tmp_path / "model", tokenizer, bos="<|start|>", eos="<|end|>")
    with pytest.raises(UnsupportedModel, match=r"cuts words by `\\w\+\|\\W\+`"):
        trained.to_gguf(tmp_path / "model")


def test_merges_that_are_not_those_of_pieces_are_refused(tmp_path: Path) -> None:
    trained.write_folder(tmp_path / "model", trained.pieces(prefix=True), bos="<s>", eos="</s>")
    path = tmp_path / "model" / "tokenizer.json"
    model = read_object(path)["model"]
    edit_json(path, model=model | {"merges": model["merges"][1:]})
    with pytest.raises(UnsupportedModel, match="not those of a SentencePiece model"):
        trained.to_gguf(tmp_path / "model")


def test_a_token_of_any_length_takes_no_time(tmp_path: Path) -> None:
    trained.write_folder(tmp_path / "model", trained.pieces(prefix=True), bos="<s>", eos="</s>")
    path = tmp_path / "model" / "tokenizer.json"
    model = read_object(path)["model"]
    edit_json(path, model=model | {"vocab": model["vocab"] | {"a" * (1 << 20): len(model["vocab"])}})
    with pytest.raises(UnsupportedModel, match="a token of 1048576 letters"):
        trained.to_gguf(tmp_path / "model")


def test_a_kind_of_tokenizer_that_is_not_known_is_refused(tmp_path: Path) -> None:
    byte_pair_folder(tmp_path / "model")
    edit_json(
        tmp_path / "model" / "tokenizer.json",
        decoder=None,
        pre_tokenizer=None,
        model={"type": "Unigram", "vocab": [["a", 0.0]]},
    )
    with pytest.raises(UnsupportedModel, match="of the kind Unigram"):
        trained.to_gguf(tmp_path / "model")


def test_tokens_have_types_and_the_rest_is_unused(tmp_path: Path) -> None:
    tokenizer = byte_pair_folder(tmp_path / "model")
    n_tokens = tokenizer.get_vocab_size()
    found = header(tmp_path / "model")
    names, kinds = found.array("tokenizer.ggml.tokens"), found.array("tokenizer.ggml.token_type")
    assert names[: n_tokens - 4] == [tokenizer.id_to_token(i) for i in range(n_tokens - 4)]
    assert names[n_tokens - 4 : n_tokens] == [*trained.CONTROLS, "[tool]"]
    assert names[n_tokens:] == [f"[PAD{i}]" for i in range(n_tokens, n_tokens + 5)]
    assert kinds == [1] * (n_tokens - 4) + [3, 3, 3, 4] + [5] * 5


def test_special_tokens_and_the_template_are_told(tmp_path: Path) -> None:
    tokenizer = byte_pair_folder(tmp_path / "model")
    found = header(tmp_path / "model").metadata
    assert found["tokenizer.ggml.bos_token_id"] == tokenizer.token_to_id("<|start|>")
    assert found["tokenizer.ggml.eos_token_id"] == tokenizer.token_to_id("<|end|>")
    assert found["tokenizer.ggml.add_bos_token"] is True
    assert found["tokenizer.ggml.add_eos_token"] is False
    assert found["tokenizer.chat_template"] == trained.TEMPLATE


def test_every_token_that_ends_an_answer_ends_it(tmp_path: Path) -> None:
    tokenizer = byte_pair_folder(tmp_path / "model")
    ends = [tokenizer.get_vocab()[text] for text in ("<|turn|>", "<|end|>")]
    write_json(tmp_path / "model" / "generation_config.json", {"eos_token_id": ends})
    with trained.load(tmp_path / "model") as model:
        assert all(model.vocab.is_eog(end) for end in ends)
        assert model.vocab.eos == ends[1]


def test_templates_are_found_where_they_are_kept_now_and_where_they_were(tmp_path: Path) -> None:
    byte_pair_folder(tmp_path / "model")
    settings = tmp_path / "model" / "tokenizer_config.json"
    several = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
    edit_json(settings, chat_template=several)
    found = header(tmp_path / "model")
    assert found.metadata["tokenizer.chat_template"] == "plain"
    assert found.metadata["tokenizer.chat_template.tool_use"] == "tools"
    assert found.array("tokenizer.chat_templates") == ["tool_use"]
    (tmp_path / "model" / "chat_template.jinja").write_text("alone")
    assert header(tmp_path / "model").metadata["tokenizer.chat_template"] == "alone"


def test_two_tokens_of_one_text_do_not_end_the_engine(tmp_path: Path) -> None:
    tokenizer = byte_pair_folder(tmp_path / "model")
    path = tmp_path / "model" / "tokenizer.json"
    twin = {"id": tokenizer.get_vocab_size(), "content": "a", "special": False}
    edit_json(path, added_tokens=[*read_object(path)["added_tokens"], twin])
    with trained.load(tmp_path / "model") as model:
        assert list(model.vocab.tokenise("a", add_special=False)) == [twin["id"]]
