import hashlib
from pathlib import Path

import pytest

from tests.cli.conftest import Lcrt
from tests.client.fake import Answer, FakeDaemon, failure, objects

WEIGHTS = b"GGUF and more"
DIGEST = f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
BLOB = f"/api/blobs/{DIGEST}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.gguf").write_bytes(WEIGHTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def accept(fake: FakeDaemon, *, has_blob: bool = False) -> None:
    fake.on("HEAD", BLOB, Answer(status=200 if has_blob else 404))
    fake.on("POST", BLOB, Answer(status=201))
    fake.on(
        "POST",
        "/api/create",
        objects({"status": "parsing GGUF"}, {"status": "writing manifest"}, {"status": "success"}),
    )


def test_a_modelfile_becomes_an_upload_and_a_request(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    accept(fake)
    (folder / "Modelfile").write_text(
        'FROM ./m.gguf\nSYSTEM """Be\nbrief."""\nPARAMETER num_ctx 2048\nPARAMETER stop a\nPARAMETER stop b\n'
        "MESSAGE user hi\nMESSAGE assistant yo\nLICENSE MIT\n"
    )
    result = lcrt("create", "me", "-q", "q8_0")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines()[-3:] == ["parsing GGUF", "writing manifest", "success"]
    assert [asked.body for asked in fake.asked if asked.path == BLOB] == [b"", WEIGHTS]
    assert fake.bodies("/api/create") == [
        {
            "model": "me",
            "files": {"m.gguf": DIGEST},
            "quantize": "q8_0",
            "system": "Be\nbrief.",
            "license": ["MIT"],
            "parameters": {"num_ctx": 2048, "stop": ["a", "b"]},
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
        }
    ]


def test_bytes_that_the_daemon_has_are_not_sent_again(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    accept(fake, has_blob=True)
    (folder / "x.Modelfile").write_text("FROM m.gguf\n")
    assert lcrt("create", "me", "-f", "x.Modelfile").code == 0
    assert [asked.method for asked in fake.asked if asked.path == BLOB] == ["HEAD"]


def test_paths_start_from_the_modelfile(
    lcrt: Lcrt, fake: FakeDaemon, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(fake)
    (folder / "Modelfile").write_text("FROM m.gguf\n")
    monkeypatch.chdir("/")
    assert lcrt("create", "me", "-f", str(folder / "Modelfile")).code == 0


def test_a_modelfile_may_come_from_stdin(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    del folder
    accept(fake)
    assert lcrt("create", "me", "-f", "-", stdin="FROM smollm2\nTEMPLATE {{ .Prompt }}\n").code == 0
    assert fake.bodies("/api/create") == [{"model": "me", "from": "smollm2", "template": "{{ .Prompt }}"}]


def test_without_a_modelfile_the_folder_is_the_model(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    del folder
    accept(fake)
    assert lcrt("create", "me").code == 0
    assert fake.bodies("/api/create") == [{"model": "me", "files": {"m.gguf": DIGEST}}]


def test_deprecated_parameters_are_warned_of(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    del folder
    accept(fake)
    result = lcrt("create", "me", "-f", "-", stdin="FROM x\nPARAMETER mirostat 1\n")
    assert "warning: parameter mirostat is deprecated\n" in result.err


@pytest.mark.parametrize(
    ("arguments", "modelfile", "text"),
    [
        (("a b",), "FROM x", "invalid model name: a b"),
        (("me", "-f", "nosuch"), "FROM x", "specified Modelfile wasn't found"),
        (("me",), "SYSTEM x", "no FROM line"),
        (("me",), "FROM ./none.gguf", "there is no file ./none.gguf, and no model has such a name\ncheck what FROM"),
        (("me", "--from", "/none.gguf"), "", "there is no file /none.gguf"),
        (("me",), "FROM x\nNOSUCH y", '(line 2): command must be one of "from"'),
        (("me",), "FROM x\nPARAMETER num_ctx abc", "invalid int value [abc]"),
        (("me",), "FROM x\nPARAMETER nosuch 1", "unknown parameter 'nosuch'"),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(
    lcrt: Lcrt, fake: FakeDaemon, folder: Path, arguments: tuple[str, ...], modelfile: str, text: str
) -> None:
    (folder / "Modelfile").write_text(modelfile)
    result = lcrt("create", *arguments)
    assert result.code == 1
    assert result.err.startswith("Error: ")
    assert text in result.err
    assert fake.asked == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-q", "q99"), "unknown type of weights: q99\nknown are F32, F16, "),
        (("--draft-quantize", "q99"), "unknown type of weights: q99"),
        (("--draft-quantize", "q8_0"), "--draft-quantize requires a DRAFT model"),
        (("-q", "q4_0", "--imatrix", "nosuch"), "could not read nosuch"),
    ],
)
def test_options_that_cannot_be_are_told_of(
    lcrt: Lcrt, fake: FakeDaemon, folder: Path, arguments: tuple[str, ...], text: str
) -> None:
    accept(fake)
    (folder / "Modelfile").write_text("FROM base")
    result = lcrt("create", "me", *arguments)
    assert (result.code, fake.bodies("/api/create")) == (1, [])
    assert f"Error: {text}" in result.err


def test_a_matrix_without_a_type_is_not_uploaded(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM base")
    (folder / "i.gguf").write_bytes(b"matrix")
    result = lcrt("create", "me", "--imatrix", "i.gguf")
    assert (result.code, fake.asked) == (2, [])
    assert "--imatrix is of use with --quantize only" in result.err


def test_a_draft_and_a_matrix_are_uploaded_too(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM base\nDRAFT m.gguf\n")
    (folder / "i.gguf").write_bytes(b"matrix")
    matrix = f"sha256:{hashlib.sha256(b'matrix').hexdigest()}"
    accept(fake)
    fake.on("HEAD", f"/api/blobs/{matrix}", Answer(status=200))
    assert lcrt("create", "me", "-q", "q4_0", "--draft-quantize", "q8_0", "--imatrix", "i.gguf").code == 0
    assert fake.bodies("/api/create") == [
        {
            "model": "me",
            "from": "base",
            "draft_files": {"m.gguf": DIGEST},
            "quantize": "q4_0",
            "draft_quantize": "q8_0",
            "imatrix": matrix,
        }
    ]


def test_an_error_in_the_stream_fails_the_command(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    del folder
    accept(fake)
    fake.on("POST", "/api/create", objects({"status": "parsing GGUF"}, {"error": "unknown type"}))
    result = lcrt("create", "me")
    assert result.code == 1
    assert "parsing GGUF\nError: unknown type\ngive a GGUF file or a folder" in result.err


def test_a_refused_upload_fails_the_command(lcrt: Lcrt, fake: FakeDaemon, folder: Path) -> None:
    del folder
    accept(fake)
    fake.on("POST", BLOB, failure(400, "digest mismatch"))
    result = lcrt("create", "me")
    assert (result.code, fake.bodies("/api/create")) == (1, [])
    assert "Error: digest mismatch" in result.err
