from pathlib import Path

from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from tests.native import tiny


def test_the_tokens_around_a_gap_are_those_that_the_file_names(tmp_path: Path) -> None:
    names = {"tokenizer__ggml__fim_pre_token_id": 270, "tokenizer__ggml__fim_suf_token_id": 271}
    names |= {"tokenizer__ggml__fim_mid_token_id": 272, "tokenizer__ggml__seperator_token_id": 269}
    keys = tiny.metadata("llama", **names)
    path = tiny.write(tmp_path / "fill.gguf", keys, {})
    with Model(path, ModelParams(vocab_only=True)) as model:
        assert (model.vocab.fill, model.vocab.sep) == ((270, 271, 272), 269)


def test_a_vocabulary_without_them_has_none(model: Model) -> None:
    assert model.vocab.fill is None
