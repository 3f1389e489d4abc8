"""A folder is converted in a process that ends when nobody waits for it."""

import json
import math
import os
from pathlib import Path

import pytest

from lcrt.convert.run import convert
from lcrt.errors import InvalidRequest, UnsupportedModel
from lcrt.gguf.reader import read_header
from lcrt.task.progress import Progress
from tests.convert import folders_models as models
from tests.convert.folders import write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.write(tmp_path / "model", models.config("llama"))
    return tmp_path / "model"


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_progress_ends_with_everything(folder: Path) -> None:
    told = list(convert(folder, folder.with_suffix(".gguf"), name="mine"))
    assert told[0] == Progress("converting model")
    assert {step.status for step in told} == {"converting model"}
    weights = sum(tensor.size for tensor in read_header(folder.with_suffix(".gguf")).tensors)
    assert told[-1].completed == told[-1].total == weights


def test_what_goes_wrong_there_is_raised_here_and_leaves_no_file(folder: Path) -> None:
    output = folder.with_suffix(".gguf")
    output.write_bytes(b"old")
    write_json(folder / "config.json", {"architectures": ["FooModel"]})
    with pytest.raises(UnsupportedModel, match="FooModel") as caught:
        list(convert(folder, output))
    assert "LlamaForCausalLM" in str(caught.value)
    assert not output.exists()


def test_what_will_not_be_as_in_the_source_is_told(tmp_path: Path) -> None:
    models.write(tmp_path / "model", models.config("phi3"))
    told = [step.status for step in convert(tmp_path / "model", tmp_path / "model.gguf")]
    assert "warning: the window of 511 tokens that this model looks back is not kept here: set num_ctx to that" in told


def test_a_type_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="only to F32, F16, BF16"):
        list(convert(folder, folder.with_suffix(".gguf"), file_type="Q4_0"))


def write_large(folder: Path) -> None:
    """Weights of 16 GB that are nothing but a hole in a file."""
    config = models.config("llama", intermediate_size=10**7)
    models.write(folder, models.config("llama"))
    write_json(folder / "config.json", config)
    header: dict[str, object] = {}
    end = 0
    for name, shape in models.shapes(config).items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def test_a_conversion_that_is_given_up_ends_its_process_and_leaves_nothing(tmp_path: Path) -> None:
    write_large(tmp_path / "model")
    before, output = children(), tmp_path / "model.gguf"
    steps = convert(tmp_path / "model", output)
    told = next(step for step in steps if step.completed)
    assert 0 < told.completed < told.total
    assert len(children() - before) == 1
    assert output.exists()
    steps.close()
    assert children() == before
    assert not output.exists()
