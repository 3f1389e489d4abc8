"""ci/check_limits.py finds what is planted, and nothing where all is well."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.build.scripts import ROOT, load_script

limits = load_script("ci/check_limits.py")

CLEAN = {
    "src/lcrt/native/engine.pyx": "from lcrt.errors import EngineError\nfrom lcrt.native cimport c_engine\n",
    "src/lcrt/chat/parsers/qwen3.py": '"""Qwen3."""\n',
    "src/lcrt/modelfile/detect.py": 'NAMES = ("gemma-instruct",)\n',
    "csrc/core/stop.c": '#include "lcrt/stop.h"\n\n#include <stdint.h>\n\nint f(void)\n{\n    return 0;\n}\n',
    "csrc/include/lcrt/stop.h": "int f(void);\n",
    "csrc/llama/model.cpp": '#include "llama.h"\n#include "chat.h"\n',
    "csrc/tests/test-llama-model.c": '#include "llama.h"\n',
    "csrc/tools/lcrt-bench.c": "#include <llama.h>\n",
}


def plant(root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return [str(breach) for breach in limits.check(root)]


def python_function(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


def c_function(lines: int) -> str:
    return "int f(int x)\n{\n" + "    x++;\n" * (lines - 3) + "}\n"


def cython_function(lines: int) -> str:
    return "cdef class C:\n    cdef int x\n\n    def f(self):\n" + "        self.x = 1\n" * (lines - 1)


def test_a_clean_tree_has_no_breach(tmp_path: Path) -> None:
    assert plant(tmp_path, CLEAN) == []


@pytest.mark.parametrize("suffix", ["py", "pyi", "pyx", "pxd", "c", "cpp", "h", "hpp"])
def test_a_file_of_more_than_400_lines_is_found(tmp_path: Path, suffix: str) -> None:
    assert plant(tmp_path, {f"csrc/core/a.{suffix}": "\n" * 400}) == []
    assert plant(tmp_path, {f"csrc/core/a.{suffix}": "\n" * 401}) == [
        f"csrc/core/a.{suffix}:401: 401 lines, at most 400"
    ]


@pytest.mark.parametrize(
    ("name", "function", "line"),
    [
        ("src/lcrt/a.py", python_function, 1),
        ("src/lcrt/native/a.pyx", cython_function, 4),
        ("csrc/core/a.c", c_function, 1),
        ("csrc/llama/a.cpp", lambda lines: "namespace {\nstruct S { int x = 0; };\n" + c_function(lines) + "}\n", 3),
        ("csrc/llama/b.cpp", lambda lines: "class C {\n" + c_function(lines) + "};\n", 2),
        ("csrc/llama/c.cpp", lambda lines: 'extern "C" {\n' + c_function(lines) + "}\n", 2),
    ],
)
def test_a_function_of_more_than_60_lines_is_found(
    tmp_path: Path, name: str, function: Callable[[int], str], line: int
) -> None:
    assert plant(tmp_path, {name: function(60)}) == []
    assert plant(tmp_path, {name: function(61)}) == [f"{name}:{line}: function of 61 lines, at most 60"]


def test_a_long_table_or_type_is_no_function(tmp_path: Path) -> None:
    rows = "    {1, (2)},\n" * 80
    members = "    int x;\n" * 80
    values = "    A = (1),\n" * 80
    text = f"static const int t[][2] = {{\n{rows}}};\nstruct s {{\n{members}}};\nenum e {{\n{values}}};\n"
    assert plant(tmp_path, {"csrc/core/a.c": text}) == []


def test_braces_in_strings_comments_and_macros_do_not_count(tmp_path: Path) -> None:
    text = "#define M(x) do { \\\n    x; \n/* { */\nint f(void)\n{\n    return g(\"{\", '{'); // {\n}\n"
    assert plant(tmp_path, {"csrc/core/a.c": text + "\nint x;\n" * 60}) == []


@pytest.mark.parametrize("name", ["src/lcrt/utils.py", "csrc/core/common.h", "tests/helpers.py", "src/lcrt/misc/a.py"])
def test_a_name_that_says_nothing_is_found(tmp_path: Path, name: str) -> None:
    assert len(plant(tmp_path, {name: ""})) == 1


@pytest.mark.parametrize(
    ("name", "include"),
    [
        ("csrc/core/a.c", '"llama.h"'),
        ("csrc/core/a.c", "<ggml.h>"),
        ("csrc/core/a.c", "<ggml-backend.h>"),
        ("csrc/core/a.c", '"chat.h"'),
        ("csrc/core/a.c", '"../llama/model.h"'),
        ("csrc/fake/a.c", '"mtmd.h"'),
        ("csrc/include/lcrt/a.h", '"llama.h"'),
        ("csrc/tests/test-engine.c", '"llama.h"'),
        ("csrc/tools/trace.c", '"gguf.h"'),
    ],
)
def test_an_include_of_llama_cpp_outside_its_folder_is_found(tmp_path: Path, name: str, include: str) -> None:
    assert len(plant(tmp_path, {name: f"#include {include}\n", "csrc/llama/model.h": ""})) == 1


def test_an_include_of_our_own_header_is_fine(tmp_path: Path) -> None:
    text = '#include "lcrt/stop.h"\n#include "ring.h"\n#include "../core/ring.h"\n#include <pthread.h>\n'
    assert plant(tmp_path, {"csrc/include/lcrt/stop.h": "", "csrc/core/ring.h": "", "csrc/core/a.c": text}) == []


@pytest.mark.parametrize(
    "line",
    ["from lcrt.runner.job import Job", "import lcrt.config", "from lcrt import server", "cimport lcrt.chat.x"],
)
def test_an_upward_import_in_a_pyx_is_found(tmp_path: Path, line: str) -> None:
    assert len(plant(tmp_path, {"src/lcrt/native/a.pyx": f"{line}\n"})) == 1


@pytest.mark.parametrize("text", ["if arch == 'qwen3':", "# as Mistral does", "GEMMA = 1", "gpt-oss", "command-r"])
def test_a_model_family_outside_the_parsers_is_found(tmp_path: Path, text: str) -> None:
    assert len(plant(tmp_path, {"src/lcrt/server/a.py": f"# {text}\n"})) == 1


@pytest.mark.parametrize("text", ["philosophy", "paragraph", "graphite", "sophistry", "glimpse"])
def test_other_words_are_no_model_family(tmp_path: Path, text: str) -> None:
    assert plant(tmp_path, {"src/lcrt/server/a.py": f"# {text}\n"}) == []


def test_unfinished_work_is_found(tmp_path: Path) -> None:
    word = "TO" + "DO"
    assert len(plant(tmp_path, {"csrc/core/a.c": f"/* {word}: later */\n"})) == 1


def test_the_command_fails_on_a_breach_and_passes_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "__file__", str(tmp_path / "ci" / "check_limits.py"))
    plant(tmp_path, CLEAN)
    assert limits.main() == 0
    plant(tmp_path, {"src/lcrt/utils.py": ""})
    assert limits.main() == 1
    assert capsys.readouterr().out.startswith("src/lcrt/utils.py:1: ")


def test_the_limits_look_at_this_project() -> None:
    names = {source.path for source in limits.sources(ROOT)}
    assert {"ci/check_limits.py", "vendor/llama.cpp/fetch.py", "vendor/llama.cpp/amx-gcc.h"} <= names
    assert not any(name.startswith("vendor/llama.cpp/src/") for name in names)
