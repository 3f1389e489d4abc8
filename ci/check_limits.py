"""Check what no linter sees: sizes, names, who includes llama.cpp, what .pyx files import, model families.

Prints one line for each breach and exits 1 when there is any.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 60

ROOMS = ("src", "csrc", "tests", "bench", "ci", "vendor", "cmake")
SKIPPED = ("vendor/llama.cpp/src", "vendor/llama.cpp/patches")
PYTHON = {".py", ".pyi"}
CYTHON = {".pyx", ".pxd"}
C = {".c", ".cpp", ".h", ".hpp"}

VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
BELOW_NATIVE = {"core", "errors", "log", "units", "task", "native"}
KNOW_FAMILIES = ("src/lcrt/chat/parsers/", "src/lcrt/convert/", "src/lcrt/gguf/", "src/lcrt/modelfile/")
"""Rooms that read what is written into models, names and all."""
FAMILIES = re.compile(
    r"(?<![a-z])(qwen|gemma|mistral|mixtral|deepseek|granite|hermes|cohere|command-?r|gpt-?oss|glm|kimi|olmo|phi)"
    r"(?=[^a-z]|$)",
    re.IGNORECASE,
)
UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X)\b")


@dataclass(frozen=True, order=True)
class Breach:
    """One rule broken at one place."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Source:
    """A file under the limits."""

    path: str
    """Relative to the project, with slashes."""
    lines: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """What kind of file it is."""
        return Path(self.path).suffix

    def breach(self, line: int, text: str) -> Breach:
        """Report this file."""
        return Breach(self.path, line, text)


def sources(root: Path) -> Iterator[Source]:
    """Read every file that the limits are for."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix in PYTHON | CYTHON | C and path.is_file() and not name.startswith(SKIPPED):
                yield Source(name, tuple(path.read_text().splitlines()))


def check_name(source: Source) -> Iterator[Breach]:
    """No file or folder is named for nothing in particular."""
    for part in Path(source.path).with_suffix("").parts:
        if part in VAGUE:
            yield source.breach(1, f"`{part}` says nothing: name it for what it holds")


def check_length(source: Source) -> Iterator[Breach]:
    """A file can be read in one go."""
    if len(source.lines) > FILE_LINES:
        yield source.breach(FILE_LINES + 1, f"{len(source.lines)} lines, at most {FILE_LINES}")


def check_functions(source: Source) -> Iterator[Breach]:
    """So can a function."""
    if source.suffix in PYTHON:
        spans = python_functions("\n".join(source.lines))
    elif source.suffix in CYTHON:
        spans = cython_functions(source.lines)
    else:
        spans = c_functions("\n".join(source.lines))
    for first, last in spans:
        if last - first + 1 > FUNCTION_LINES:
            yield source.breach(first, f"function of {last - first + 1} lines, at most {FUNCTION_LINES}")


def python_functions(text: str) -> Iterator[tuple[int, int]]:
    """First and last line of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.end_lineno or node.lineno


def cython_functions(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last line of each function, by indentation."""
    head = re.compile(r"( *)(?:async +def|def|cpdef|cdef(?! +(?:class|struct|enum|union|extern)))\b.*(?:\(|:$)")
    for first, line in enumerate(lines):
        match = head.match(line)
        if match:
            deeper = re.compile(rf" {{{len(match[1]) + 1},}}|\s*$|\s*[)#]")
            body = list(takewhile(deeper.match, lines[first + 1 :]))
            while body and not body[-1].strip():
                body.pop()
            yield first + 1, first + 1 + len(body)


def c_functions(text: str) -> Iterator[tuple[int, int]]:
    """First and last line of each function, by braces."""
    opened: list[tuple[int, bool]] = []
    head, line, head_line = "", 1, 1
    for char in blank_c(text):
        if char == "\n":
            line += 1
        if char == "{":
            outermost = not any(function for _, function in opened)
            opened.append((head_line, outermost and is_function_head(head)))
        elif char == "}" and opened:
            first, function = opened.pop()
            if function:
                yield first, line
        if char in "{};":
            head = ""
        elif head.strip() or not char.isspace():
            head_line = head_line if head.strip() else line
            head += char


def is_function_head(head: str) -> bool:
    """Tell a function's head from that of a type, a namespace or an initialiser."""
    return ")" in head and not re.search(r"=\s*$|=\s*\(", head) and not re.match(r"\s*(namespace|enum)\b", head)


def blank_c(text: str) -> str:
    """Blank comments, strings and preprocessor lines; line numbers stay."""
    comment = r"//[^\n]*|/\*.*?\*/"
    string = r"R\"(\w*)\(.*?\)\1\"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    directive = r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*"
    pattern = re.compile(f"{comment}|{string}|{directive}", re.DOTALL | re.MULTILINE)
    return pattern.sub(lambda match: "\n" * match[0].count("\n") or " ", text)


def may_use_llama_cpp(path: str) -> bool:
    """Tell whether a C file may include llama.cpp's headers."""
    folder, _, name = path.rpartition("/")
    return folder == "csrc/llama" or (folder in {"csrc/tests", "csrc/tools"} and ("llama" in name or "bench" in name))


def check_includes(root: Path, source: Source) -> Iterator[Breach]:
    """Nothing of llama.cpp is reached but from csrc/llama: quoted headers are ours, others the system's."""
    if not source.path.startswith("csrc/") or source.suffix not in C or may_use_llama_cpp(source.path):
        return
    places = (root / "csrc/include", (root / source.path).parent)
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
        if not match:
            continue
        ours = any(
            (place / match[2]).resolve().is_relative_to(root / "csrc") and (place / match[2]).is_file()
            for place in places
        )
        foreign = re.match(r"(llama|ggml|gguf|mtmd|clip|common/|nlohmann/|jinja/)", match[2])
        if foreign or (match[1] == '"' and not ours) or "../llama" in match[2]:
            yield source.breach(number, f"includes `{match[2]}`: only csrc/llama may reach beyond lcrt's own headers")


def check_cython_imports(source: Source) -> Iterator[Breach]:
    """What import-linter cannot see: .pyx files stay in their layer."""
    if source.suffix not in CYTHON or not source.path.startswith("src/lcrt/"):
        return
    room = source.path.split("/")[2]
    for number, line in enumerate(source.lines, 1):
        match = re.match(r"\s*(?:from|import|cimport)\s+lcrt(?:\.(\w+)|\s+c?import\s+(\w+))", line)
        imported = (match[1] or match[2]) if match else None
        if imported and imported not in BELOW_NATIVE | {room}:
            yield source.breach(number, f"`{room}` imports `lcrt.{imported}`, which is not below it")


def check_words(source: Source) -> Iterator[Breach]:
    """Model families are known to few rooms only; nothing is left for later."""
    product = source.path.startswith(("src/", "csrc/")) and not source.path.startswith(("csrc/tests/", *KNOW_FAMILIES))
    for number, line in enumerate(source.lines, 1):
        if product and (match := FAMILIES.search(line)):
            yield source.breach(number, f"names a model family: `{match[0]}` belongs into {KNOW_FAMILIES[0]}")
        if source.suffix in C | CYTHON and (match := UNFINISHED.search(line)):
            yield source.breach(number, f"`{match[0]}`: finish it or file it")


def check(root: Path) -> list[Breach]:
    """Find every breach under a project's root."""
    breaches: set[Breach] = set()
    for source in sources(root):
        breaches.update(check_name(source))
        breaches.update(check_length(source))
        breaches.update(check_functions(source))
        breaches.update(check_includes(root, source))
        breaches.update(check_cython_imports(source))
        breaches.update(check_words(source))
    return sorted(breaches)


def main() -> int:
    """Run from the command line."""
    breaches = check(Path(__file__).resolve().parent.parent)
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
