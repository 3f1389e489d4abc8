"""A folder whose weights are not there yet: whether it can be converted is told all the same."""

import json
from pathlib import Path

import pytest

from lcrt.convert.look import look as looking
from lcrt.errors import InvalidRequest, LcrtError, StoreError, UnsupportedModel
from tests.children import children
from tests.convert import folders_models as models


def look(folder: Path, *, config_only: bool = False) -> None:
    """Look to the end."""
    for _ in looking(folder, config_only=config_only):
        pass


def without_weights(folder: Path, family: str, **changes: object) -> Path:
    models.write(folder, models.config(family) | changes)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    return folder


@pytest.mark.parametrize("family", models.ARCHITECTURES)
def test_every_family_passes_without_its_weights(tmp_path: Path, family: str) -> None:
    look(without_weights(tmp_path, family))


def test_weights_in_eight_bits_pass_where_they_can_be_converted(tmp_path: Path) -> None:
    look(without_weights(tmp_path, "llama", quantization_config={"quant_method": "fp8"}))


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"architectures": ["FooModel"]}, UnsupportedModel, "FooModel"),
        ({"architectures": []}, UnsupportedModel, "unknown architecture"),
        ({"quantization_config": {"quant_method": "gptq"}}, UnsupportedModel, "gptq"),
        ({"num_hidden_layers": -1}, InvalidRequest, "num_hidden_layers"),
        ({"rms_norm_eps": "small"}, InvalidRequest, "rms_norm_eps"),
    ],
)
@pytest.mark.parametrize("config_only", [True, False])
def test_what_the_config_says_is_enough_to_refuse(
    tmp_path: Path, changes: dict[str, object], kind: type[LcrtError], text: str, config_only: bool
) -> None:
    folder = without_weights(tmp_path, "llama", **changes)
    with pytest.raises(kind, match=text):
        look(folder, config_only=config_only)


def test_a_config_alone_is_looked_at_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(models.config("llama")))
    look(tmp_path, config_only=True)
    with pytest.raises(InvalidRequest, match=r"neither `tokenizer\.json` nor `tokenizer\.model`"):
        look(tmp_path)


@pytest.mark.parametrize("damage", [b"{", b'{"model": {"type": "WordPiece"}}', b"[]"])
def test_a_tokenizer_that_cannot_be_used_is_told(tmp_path: Path, damage: bytes) -> None:
    folder = without_weights(tmp_path, "qwen2")
    (folder / "tokenizer.json").write_bytes(damage)
    with pytest.raises(LcrtError, match="tokenizer"):
        look(folder)
    look(folder, config_only=True)


def test_no_process_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="cannot read the model's files"):
        look(tmp_path)


def test_a_look_that_is_given_up_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_look.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("lcrt.convert.look._MODULE", "slow_look")
    before = children()
    steps = looking(tmp_path)
    next(steps)
    assert len(children() - before) == 1
    steps.close()
    assert children() == before
