from collections.abc import Mapping
from pathlib import Path

import pytest

from lcrt.gguf import keys
from lcrt.gguf.keys import FileKind
from lcrt.gguf.reader import Header, read_header
from lcrt.gguf.writer import Plain, write_gguf
from tests.gguf.files import TENSORS, tiny


def header(path: Path, metadata: Mapping[str, Plain]) -> Header:
    write_gguf(path / "x.gguf", metadata, TENSORS)
    return read_header(path / "x.gguf")


def test_the_usual_facts_of_a_model(tmp_path: Path) -> None:
    model = read_header(tiny(tmp_path / "x.gguf"))
    assert keys.architecture(model) == "llama"
    assert keys.parameter_count(model) == 96 + 64 + 32
    assert keys.quantization(model) == "F16"
    assert (keys.context_length(model), keys.embedding_length(model)) == (512, 32)
    assert keys.chat_template(model) == "{{ messages }}"
    assert keys.kind(model) is FileKind.MODEL


def test_a_file_that_says_nothing_has_no_facts(tmp_path: Path) -> None:
    model = header(tmp_path, {})
    assert keys.architecture(model) == "unknown"
    assert (keys.context_length(model), keys.chat_template(model)) == (0, "")


def test_values_of_a_wrong_type_count_as_missing(tmp_path: Path) -> None:
    model = header(tmp_path, {"general.architecture": 7, "tokenizer.chat_template": 1, "unknown.context_length": "x"})
    assert keys.architecture(model) == "unknown"
    assert (keys.context_length(model), keys.chat_template(model)) == (0, "")


@pytest.mark.parametrize(("number", "name"), [(0, "F32"), (3, "Q4_1"), (15, "Q4_K_M"), (32, "BF16"), (999, "unknown")])
def test_the_file_type_has_a_name(tmp_path: Path, number: int, name: str) -> None:
    assert keys.quantization(header(tmp_path, {"general.file_type": number})) == name


def test_without_a_file_type_most_numbers_decide(tmp_path: Path) -> None:
    assert keys.quantization(header(tmp_path, {"general.architecture": "llama"})) == "F16"


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"general.type": "adapter", "general.architecture": "llama"}, FileKind.ADAPTER),
        ({"general.type": "mmproj", "general.architecture": "clip"}, FileKind.PROJECTOR),
        ({"general.architecture": "clip", "clip.has_vision_encoder": True}, FileKind.PROJECTOR),
        ({"general.architecture": "clip", "clip.has_vision_encoder": False}, FileKind.MODEL),
        ({"general.architecture": "x", "x.vision.block_count": 2}, FileKind.PROJECTOR),
        ({"general.architecture": "x", "x.vision.block_count": 2, "x.block_count": 2}, FileKind.MODEL),
    ],
)
def test_content_tells_what_a_file_is_for(tmp_path: Path, metadata: dict[str, Plain], kind: FileKind) -> None:
    assert keys.kind(header(tmp_path, metadata)) is kind


@pytest.mark.parametrize(
    ("metadata", "audio"),
    [
        ({"clip.has_audio_encoder": True}, True),
        ({"clip.has_audio_encoder": True, "clip.projector_type": "gemma3nv"}, False),
        ({"general.architecture": "x", "x.audio.block_count": 2}, True),
        ({"general.architecture": "x"}, False),
    ],
)
def test_an_audio_encoder_is_seen(tmp_path: Path, metadata: dict[str, Plain], audio: bool) -> None:
    assert keys.has_audio_encoder(header(tmp_path, metadata)) is audio
