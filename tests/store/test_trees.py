import os
from pathlib import Path

import pytest

from lcrt.store.trees import hub_folder, lm_studio_folder, read_tree


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF")
    return path


def names(folder: Path) -> dict[str, list[str]]:
    return {model.name.short: [path.name for path in model.files] for model in read_tree(folder)}


def test_lm_studios_folders_are_publishers_and_repositories(tmp_path: Path) -> None:
    for file in ("bart/Llama-3.2-GGUF/Llama-3.2-Q4_K_M.gguf", "bart/Llama-3.2-GGUF/Llama-3.2-IQ3_XS.gguf"):
        touch(tmp_path / file)
    touch(tmp_path / "me.too/my model/my-model.gguf")
    touch(tmp_path / "bart/Llama-3.2-GGUF/notes.txt")
    assert names(tmp_path) == {
        "bart/Llama-3.2-GGUF:IQ3_XS": ["Llama-3.2-IQ3_XS.gguf"],
        "bart/Llama-3.2-GGUF:Q4_K_M": ["Llama-3.2-Q4_K_M.gguf"],
        "me-too/my-model:latest": ["my-model.gguf"],
    }


def test_a_projector_belongs_to_every_model_beside_it(tmp_path: Path) -> None:
    for file in ("v-Q8_0.gguf", "v-f16.gguf", "mmproj-v-f16.gguf"):
        touch(tmp_path / "org" / "v" / file)
    assert names(tmp_path) == {
        "org/v:F16": ["v-f16.gguf", "mmproj-v-f16.gguf"],
        "org/v:Q8_0": ["v-Q8_0.gguf", "mmproj-v-f16.gguf"],
    }


def test_parts_of_a_split_file_are_one_model(tmp_path: Path) -> None:
    parts = [f"big-Q4_0-{i:05}-of-00003.gguf" for i in (1, 2, 3)]
    for part in parts:
        touch(tmp_path / "org" / "big" / part)
    assert names(tmp_path) == {"org/big:Q4_0": parts}


def test_two_files_of_one_quantization_keep_their_names(tmp_path: Path) -> None:
    for file in ("base-Q4_0.gguf", "chat-Q4_0.gguf"):
        touch(tmp_path / "org" / "m" / file)
    assert set(names(tmp_path)) == {"org/m:base-Q4_0", "org/m:chat-Q4_0"}


def hub(folder: Path, revision: str, file: str, *, main: bool = True) -> None:
    repository = folder / "models--org--repo-GGUF"
    blob = touch(repository / "blobs" / ("f" * 64))
    link = repository / "snapshots" / revision / file
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(blob)
    if main:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(revision)


def test_the_hubs_cache_is_read_at_the_revision_that_main_names(tmp_path: Path) -> None:
    hub(tmp_path, "old", "m-Q8_0.gguf")
    hub(tmp_path, "new", "sub/m-Q4_K_M.gguf")
    os.utime(tmp_path / "models--org--repo-GGUF" / "snapshots" / "new", (1000, 1000))
    touch(tmp_path / "models--org--weights" / "snapshots" / "x" / "model.safetensors")
    assert names(tmp_path) == {"hf.co/org/repo-GGUF:Q4_K_M": ["m-Q4_K_M.gguf"]}


@pytest.mark.parametrize("main", ["../../../..", "gone", "/"])
def test_a_reference_that_leads_nowhere_or_outside_is_not_followed(tmp_path: Path, main: str) -> None:
    hub(tmp_path, "only", "m-Q8_0.gguf")
    (tmp_path / "models--org--repo-GGUF" / "refs" / "main").write_text(main)
    assert list(names(tmp_path)) == ["hf.co/org/repo-GGUF:Q8_0"]


def test_the_places_follow_their_programs_settings(tmp_path: Path) -> None:
    assert hub_folder({}, tmp_path) == tmp_path / ".cache" / "huggingface" / "hub"
    assert hub_folder({"XDG_CACHE_HOME": "/c"}, tmp_path) == Path("/c/huggingface/hub")
    assert hub_folder({"HF_HOME": "/h", "XDG_CACHE_HOME": "/c"}, tmp_path) == Path("/h/hub")
    assert hub_folder({"HF_HUB_CACHE": "/x", "HF_HOME": "/h"}, tmp_path) == Path("/x")
    assert lm_studio_folder({}, tmp_path) == tmp_path / ".lmstudio" / "models"
    (tmp_path / "moved" / "models").mkdir(parents=True)
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path}/moved\n")
    assert lm_studio_folder({}, tmp_path) == tmp_path / "moved" / "models"
