"""Models of SentencePiece are read field by field, within their bytes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.convert.vocab.pieces import Piece, read_pieces
from lcrt.errors import InvalidRequest, UnsupportedModel
from lcrt.gguf.reader import read_header
from tests.convert import folders_models as models
from tests.convert import folders_tokenizers as tokenizers
from tests.convert import trained
from tests.convert.folders import write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.write(tmp_path / "model", models.config("mistral"))
    return tmp_path / "model"


def test_pieces_and_what_is_said_of_them_are_read(folder: Path) -> None:
    found = read_pieces(folder / "tokenizer.model")
    assert len(found.pieces) == tokenizers.SIZES["spm"]
    assert found.pieces[:3] == (Piece("<unk>", 0.0, 2), Piece("<s>", 0.0, 3), Piece("</s>", 0.0, 3))
    assert found.pieces[3] == Piece("<0x00>", 0.0, 6)
    assert found.pieces[-1] == Piece("\u2581", -float(len(tokenizers.PIECES) - 1), 1)
    assert (found.unk, found.bos, found.eos, found.pad) == (0, 1, 2, -1)
    assert found.kind == 2
    assert found.add_dummy_prefix


def test_scores_and_types_reach_the_file(folder: Path) -> None:
    header = read_header(trained.to_gguf(folder))
    pieces = read_pieces(folder / "tokenizer.model").pieces
    assert header.array("tokenizer.ggml.tokens") == [piece.text for piece in pieces]
    assert header.array("tokenizer.ggml.token_type")[3:] == [piece.type for piece in pieces][3:]
    assert header.array("tokenizer.ggml.scores")[3:] == [piece.score for piece in pieces][3:]
    assert header.metadata["tokenizer.ggml.add_space_prefix"] is True
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True


def test_without_any_file_beside_it_the_model_itself_is_believed(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()
    found = read_header(trained.to_gguf(folder)).metadata
    ids = [found[f"tokenizer.ggml.{name}_token_id"] for name in ("unknown", "bos", "eos")]
    assert ids == [0, 1, 2]


def test_added_tokens_of_the_oldest_kind_are_taken(folder: Path) -> None:
    n_tokens = tokenizers.SIZES["spm"]
    write_json(folder / "added_tokens.json", {"<|im_end|>": n_tokens - 1, "plain\u2581one": n_tokens - 2, "far": 10**6})
    header = read_header(trained.to_gguf(folder))
    assert header.array("tokenizer.ggml.tokens")[-2:] == ["plain one", "<|im_end|>"]
    assert header.array("tokenizer.ggml.token_type")[-2:] == [4, 3]


@pytest.mark.parametrize("number", [-1, 1.5, "2", None])
def test_an_added_token_without_a_number_is_refused(number: object, folder: Path) -> None:
    write_json(folder / "added_tokens.json", {"odd": number})
    with pytest.raises(InvalidRequest, match="token `odd` has no usable number"):
        trained.to_gguf(folder)


def test_a_model_that_does_not_merge_pairs_is_refused(folder: Path) -> None:
    path = folder / "tokenizer.model"
    path.write_bytes(path.read_bytes() + b"\x12\x02\x18\x01")
    with pytest.raises(UnsupportedModel, match="does not merge pairs"):
        trained.to_gguf(folder)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no pieces"),
        (b"version https://git-lfs.github.com/spec/v1", "no SentencePiece model"),
        (b"\x0a\x7fabc", "ends inside a field"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends inside a field"),
        (b"\x80" * 11, "a number is too long"),
        (b"\x80", "ends inside a number"),
        (b"\x0b", "unknown form 3"),
        (b"\x08\x05", "a text is a number"),
        (b"\x0a\x03\x0a\x01\xff", "no SentencePiece model"),
        (b"\x0a\x03\x15\x00\x00", "ends inside a field"),
        (b"\x0a\x06\x12\x02\x00\x00\x0a\x00", "no SentencePiece model"),
    ],
)
def test_damaged_bytes_are_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(InvalidRequest, match=reason):
        read_pieces(tmp_path / "tokenizer.model")


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "tokenizer.model"
    for content in (data, b"\x0a\x03\x0a\x01a" + data):
        path.write_bytes(content)
        try:
            assert read_pieces(path).pieces
        except InvalidRequest:
            continue
