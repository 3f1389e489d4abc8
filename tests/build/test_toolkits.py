"""A backend whose toolkit is missing stops the configuration at once, before llama.cpp is looked at."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build.scripts import ROOT

CMAKE = Path(sys.executable).parent / "cmake"
PROJECT = """\
cmake_minimum_required(VERSION 3.24...4.0)
project(toolkits LANGUAGES C CXX)
include("{root}/cmake/toolkits.cmake")
message(FATAL_ERROR "all is there")
"""


def configure(source: Path, build: Path, *definitions: str) -> subprocess.CompletedProcess[str]:
    command = [str(CMAKE), "-S", str(source), "-B", str(build), *(f"-D{definition}" for definition in definitions)]
    command += [f"-DCMAKE_MAKE_PROGRAM={shutil.which('ninja', path=str(CMAKE.parent))}", "-G", "Ninja"]
    env = {**os.environ, "CUDACXX": "/nowhere/nvcc", "HIPCXX": "/nowhere/clang"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.parametrize(
    ("option", "missing"),
    [
        ("LCRT_CUDA", "nvcc, the compiler of the CUDA toolkit"),
        ("LCRT_HIP", "hipcc or ROCm's clang"),
        ("LCRT_VULKAN", "the Vulkan headers and loader"),
        ("LCRT_METAL", "an Apple system with Metal"),
    ],
)
def test_a_missing_toolkit_is_named(tmp_path: Path, option: str, missing: str) -> None:
    (tmp_path / "CMakeLists.txt").write_text(PROJECT.format(root=ROOT))
    done = configure(tmp_path, tmp_path / "build", f"{option}=ON")
    assert done.returncode != 0
    if "all is there" in done.stderr:
        assert option in {"LCRT_VULKAN", "LCRT_METAL"}, "the compiler named does not exist"
        pytest.skip(f"this machine has what {option} needs")
    said = " ".join(done.stderr.split())
    assert f"{option}=ON, not found: {missing}." in said
    assert f"or configure without {option}." in said


@pytest.mark.skipif(sys.platform == "darwin", reason="Metal is there")
def test_lcrt_s_own_configuration_asks_for_the_toolkit_first(tmp_path: Path) -> None:
    done = configure(ROOT, tmp_path, "LCRT_METAL=ON", f"LCRT_LLAMA_CPP_DIR={tmp_path / 'nowhere'}")
    assert done.returncode != 0
    assert "LCRT_METAL=ON, not found" in done.stderr
    assert "nowhere" not in done.stderr
