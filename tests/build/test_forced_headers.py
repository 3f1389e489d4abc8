"""The headers that cmake/llama_cpp.cmake includes by force change what was built in build/dev."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.build.scripts import ROOT

BUILD = ROOT / "build" / "dev"
SOURCE = ROOT / "vendor" / "llama.cpp" / "src" / "ggml" / "src" / "ggml-cpu"
OBJECTS = BUILD / "llama.cpp" / "ggml" / "src" / "CMakeFiles" / "ggml-cpu.dir" / "ggml-cpu"


def symbols(name: str) -> set[str]:
    """The symbols of an object of ggml's CPU backend, each behind its kind: "U x" is one from elsewhere."""
    nm = shutil.which("nm")
    assert nm is not None
    listed = subprocess.run([nm, str(OBJECTS / name)], capture_output=True, text=True, check=True).stdout
    return {line[17:] for line in listed.splitlines()}


def compiled_with(source: str) -> str:
    """The command that compiles a source file of ggml's CPU backend."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    found = [entry["command"] for entry in commands if Path(entry["file"]) == SOURCE / source]
    assert len(found) == 1
    return str(found[0])


def test_attention_deals_out_whole_tiles() -> None:
    """ops.cpp asks whether the machine is NUMA to choose its chunks; with the header it no longer asks."""
    assert "U ggml_is_numa" in symbols("repack.cpp.o")
    assert "ggml_is_numa()" in (SOURCE / "ops.cpp").read_text()
    assert "U ggml_is_numa" not in symbols("ops.cpp.o")


def test_barriers_give_the_processor_away() -> None:
    """Nothing else in ggml-cpu.c yields."""
    assert "U sched_yield" in {symbol.split("@")[0] for symbol in symbols("ggml-cpu.c.o")}


@pytest.mark.parametrize(("source", "header"), [("ggml-cpu.c", "spin-yield.h"), ("ops.cpp", "attention-tiles.h"), ("amx/mmq.cpp", "amx-gcc.h")])
def test_the_header_is_included_before_its_source(source: str, header: str) -> None:
    assert f"-include {ROOT / 'vendor' / 'llama.cpp' / header} " in compiled_with(source)
