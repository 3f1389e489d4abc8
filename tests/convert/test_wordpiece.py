"""Vocabularies of words and continuations, from the newer file and from the older one."""

from pathlib import Path
from typing import Any

import pytest

from lcrt.convert.config import Config
from lcrt.convert.encoder import pooling
from lcrt.convert.jsonfile import read_object
from lcrt.convert.vocab.wordpiece import of_words
from lcrt.convert.write import write_model
from lcrt.errors import InvalidRequest, LcrtError, UnsupportedModel
from lcrt.native.model import Model
from tests.convert import folders_models as models
from tests.convert.folders import write_json
from tests.convert.folders_tokenizers import WORDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.write(tmp_path / "model", models.config("bert"))
    return tmp_path / "model"


def edit(folder: Path, name: str, **changes: Any) -> None:
    write_json(folder / name, read_object(folder / name) | changes)


def numbers(folder: Path, text: str) -> list[int]:
    output = folder.with_suffix(".gguf")
    write_model(folder, output, file_type="F32", tell=lambda *_: None)
    with Model(output) as model:
        return list(model.vocab.tokenise(text, add_special=False))


def words(*found: str) -> list[int]:
    return [WORDS.index(word) for word in found]


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_words_and_their_continuations_are_found(file: str, folder: Path) -> None:
    (folder / ({"tokenizer.json", "vocab.txt"} - {file}).pop()).unlink()
    assert numbers(folder, "The cat, playing!") == words("the", "cat", ",", "play", "##ing", "!")
    assert numbers(folder, "cats unable q\u4e16") == words("cat", "##s", "un", "##able", "q", "[UNK]")


def test_a_text_begins_and_ends_as_the_settings_name_it(folder: Path) -> None:
    edit(folder, "tokenizer_config.json", cls_token={"content": "cat", "lstrip": False}, sep_token="sat")
    output = folder.with_suffix(".gguf")
    write_model(folder, output, file_type="F32", tell=lambda *_: None)
    with Model(output) as model:
        assert list(model.vocab.tokenise("the")) == words("cat", "the", "sat")


@pytest.mark.parametrize(("lowercase", "strip", "found"), [
    (True, None, ["the", "e"]),
    (True, False, ["the", "[UNK]"]),
    (False, None, ["[UNK]", "[UNK]"]),
    (False, True, ["[UNK]", "e"]),
])  # fmt: skip
def test_capitals_and_accents_count_as_the_files_say(
    lowercase: bool, strip: bool | None, found: list[str], folder: Path
) -> None:
    normalizer = {"type": "BertNormalizer", "lowercase": lowercase, "strip_accents": strip}
    edit(folder, "tokenizer.json", normalizer=normalizer)
    assert numbers(folder, "THE \u00e9") == words(*found)
    (folder / "tokenizer.json").unlink()
    edit(folder, "tokenizer_config.json", do_lower_case=lowercase, strip_accents=strip)
    assert numbers(folder, "THE \u00e9") == words(*found)


def test_a_normalizer_among_others_counts(folder: Path) -> None:
    normalizer = {"type": "BertNormalizer", "lowercase": False, "strip_accents": True}
    edit(folder, "tokenizer.json", normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, normalizer]})
    assert numbers(folder, "THE \u00e9") == words("[UNK]", "e")


def test_more_embeddings_than_tokens_and_two_tokens_of_one_text_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    models.write(folder, models.config("bert", vocab_size=len(WORDS) + 9))
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join([*WORDS, "cat", "##\u2581cat", ""]))
    [number] = numbers(folder, "cat")
    assert number == len(WORDS) + 1


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"type": "Unigram", "vocab": [["a", 0.0]]}, "tokenizer of type Unigram is not supported"),
        ({"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 2}}, "not numbered one after the other"),
        ({"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 0}}, "not numbered one after the other"),
        ({"type": "WordPiece", "vocab": {"[UNK]": "0"}}, r"tokenizer\.json` cannot be read"),
        ({"type": "WordPiece", "vocab": {"[UNK]": 0, "[SEP]": 1}}, r"has no token \[CLS\]"),
        ({"type": "WordPiece", "vocab": {"a": 0}, "continuing_subword_prefix": "@@"}, "another mark"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_says_why(model: dict[str, Any], reason: str, folder: Path) -> None:
    edit(folder, "tokenizer.json", model=model)
    with pytest.raises(LcrtError, match=reason):
        of_words(folder, Config(read_object(folder / "config.json")))


def test_a_vocabulary_larger_than_the_embeddings_or_absent_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="tokens and vocab_size is 5"):
        of_words(folder, Config({"vocab_size": 5}))
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match="no UTF-8"):
        of_words(folder, Config({"vocab_size": 500}))
    (folder / "vocab.txt").unlink()
    with pytest.raises(InvalidRequest, match=r"neither `tokenizer\.json` nor `vocab\.txt`"):
        of_words(folder, Config({"vocab_size": 500}))


@pytest.mark.parametrize(
    "told", [{"pooling_mode_max_tokens": True}, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}]
)
def test_a_pooling_that_the_engine_does_not_have_is_refused(told: dict[str, bool], tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    write_json(tmp_path / "1_Pooling" / "config.json", told)
    with pytest.raises(UnsupportedModel, match="pooling is not supported"):
        pooling(tmp_path)


def test_the_newer_name_of_a_pooling_is_known(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    write_json(tmp_path / "1_Pooling" / "config.json", {"pooling_mode": "cls"})
    assert pooling(tmp_path) == 2


ST = "sentence_transformers.models"


def test_modules_that_the_engine_computes_are_known(folder: Path) -> None:
    kinds = [f"{ST}.Transformer", f"{ST}.Pooling", "sentence_transformers.sentence_transformer.modules.Normalize"]
    write_json(folder / "modules.json", [{"idx": i, "path": "", "type": kind} for i, kind in enumerate(kinds)])
    assert numbers(folder, "cat") == words("cat")


@pytest.mark.parametrize("family", ["bert", "nomic_bert"])
@pytest.mark.parametrize(
    ("modules", "reason"),
    [
        ([{"type": f"{ST}.Transformer"}, {"type": f"{ST}.Dense"}], "names the module Dense, which is not supported"),
        ([{"type": f"{ST}.LSTM"}], "the module LSTM"),
        ([{"idx": 0}], "the module nothing"),
        ({"type": f"{ST}.Dense"}, "holds no list of JSON objects"),
        (["Dense"], "holds no list of JSON objects"),
    ],
)
def test_vectors_that_go_through_more_than_the_weights_are_refused(
    family: str, modules: object, reason: str, tmp_path: Path
) -> None:
    models.write(tmp_path / "model", models.config(family))
    write_json(tmp_path / "model" / "modules.json", modules)
    with pytest.raises(LcrtError, match=reason):
        write_model(tmp_path / "model", tmp_path / "model.gguf", tell=lambda *_: None)


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("bert", {"hidden_act": "relu"}, "activation `relu`"),
        ("bert", {"position_embedding_type": "relative_key"}, "relative positions"),
        ("nomic_bert", {"prenorm": True, "qkv_proj_bias": True}, "prenorm, qkv_proj_bias"),
        ("nomic_bert", {"activation_function": "gelu"}, "another activation"),
        ("nomic_bert", {"rotary_emb_fraction": 0.5}, "other rotary positions"),
        ("nomic_bert", {"moe_every_n_layers": 2}, "experts"),
    ],
)
def test_encoders_that_are_computed_otherwise_are_refused(
    family: str, changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    models.write(tmp_path / "model", models.config(family) | changes)
    with pytest.raises(UnsupportedModel, match=reason):
        write_model(tmp_path / "model", tmp_path / "model.gguf", tell=lambda *_: None)
