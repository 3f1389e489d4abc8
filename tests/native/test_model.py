import os
import re
from pathlib import Path

import pytest

from lcrt.errors import (
    Cancelled,
    ClosedError,
    EngineError,
    InvalidRequest,
    LoadError,
    ModelFormatError,
    UnsupportedModel,
)
from lcrt.gguf.writer import Plain
from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from tests.native import tiny


def test_a_model_knows_its_facts(model: Model) -> None:
    info = model.info
    assert (info.n_vocab, info.n_embd, info.n_layer, info.n_ctx_train) == (len(tiny.TOKENS), 32, 1, 512)
    assert info.size == info.n_params * 4
    assert not info.recurrent
    assert info.has_decoder


def test_metadata_is_text_and_absent_keys_are_none(model: Model) -> None:
    assert model.meta("general.name") == "tiny llama"
    assert model.meta("llama.block_count") == "1"
    assert model.meta("nothing.here") is None
    assert model.chat_template == tiny.TEMPLATE


def test_a_vocabulary_can_be_loaded_alone(tmp_path: Path) -> None:
    path = tiny.vocabulary(tmp_path / "vocab.gguf")
    with Model(path, ModelParams(vocab_only=True)) as loaded:
        assert len(loaded.vocab) == len(tiny.TOKENS)
        assert loaded.info.size == 0
    with pytest.raises(ModelFormatError, match=r"token_embd\.weight"):
        Model(path)


@pytest.mark.parametrize("name", ["", "no/such/file.gguf", "."])
def test_a_path_without_a_file_is_a_load_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(LoadError, match="cannot open"):
        Model(tmp_path / name)


def test_a_pipe_is_no_file_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LoadError, match="not a file"):
        Model(tmp_path / "pipe")


def test_a_path_ends_where_it_ends(tiny_path: Path) -> None:
    with pytest.raises(LoadError, match="NUL"):
        Model(f"{tiny_path}\0.txt")


@pytest.mark.parametrize("params", [ModelParams(n_gpu_layers=2**40), ModelParams(main_gpu=2**40)])
def test_parameters_out_of_range_are_refused(tiny_path: Path, params: ModelParams) -> None:
    with pytest.raises(InvalidRequest):
        Model(tiny_path, params)


def test_a_file_of_another_kind_is_a_format_error(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\3\4 this is a zip")
    with pytest.raises(ModelFormatError, match="is not a GGUF file"):
        Model(path)


def test_a_file_cut_at_any_byte_of_its_header_is_a_format_error(tiny_path: Path, tmp_path: Path) -> None:
    whole = tiny_path.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole)
    for size in range(whole.index(b"token_embd"), -1, -97):
        os.truncate(path, size)
        with pytest.raises(ModelFormatError):
            Model(path)


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_is_a_format_error(tiny_path: Path, tmp_path: Path, share: float) -> None:
    whole = tiny_path.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelFormatError, match=re.escape(str(path))):
        Model(path)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"general__architecture": "hal9000"}, UnsupportedModel),
        ({"tokenizer__ggml__model": "riddles"}, UnsupportedModel),
        ({"general__architecture": 3}, ModelFormatError),
        ({"llama__embedding_length": "wide"}, ModelFormatError),
        ({"llama__attention__head_count": 3}, ModelFormatError),
        ({"tokenizer__ggml__scores": [0.5]}, ModelFormatError),
        ({"general__alignment": 3}, ModelFormatError),
        # llama.cpp ends the process for these when it is left alone with them.
        ({"llama__block_count": 100_000}, ModelFormatError),
        ({"llama__expert_count": 4}, ModelFormatError),
        ({"tokenizer__ggml__model": "bert"}, ModelFormatError),
        ({"llama__attention__layer_norm_rms_epsilon": -1.0}, ModelFormatError),
    ],
)
def test_a_file_that_contradicts_itself_is_an_error(
    tmp_path: Path, changes: dict[str, Plain], error: type[EngineError]
) -> None:
    with pytest.raises(error):
        Model(tiny.llama(tmp_path / "odd.gguf", **changes))


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="hal9000"):
        Model(tiny.llama(tmp_path / "odd.gguf", general__architecture="hal9000"))


def test_progress_goes_from_0_to_1(tiny_path: Path) -> None:
    seen: list[float] = []
    Model(tiny_path, progress=seen.append).close()
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_progress_can_give_up(tiny_path: Path) -> None:
    with pytest.raises(Cancelled):
        Model(tiny_path, progress=lambda _: False)


def test_what_progress_raises_comes_out(tiny_path: Path) -> None:
    def fail(_fraction: float) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Model(tiny_path, progress=fail)


def test_a_closed_model_cannot_be_used(own_model: Model) -> None:
    own_model.close()
    own_model.close()
    assert own_model.closed
    with pytest.raises(ClosedError, match="Model"):
        own_model.meta("general.name")
    with pytest.raises(ClosedError):
        _ = own_model.chat_template
