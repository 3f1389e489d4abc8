"""Errors of pull, push and the store say what to do next, but for those whose words clients know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lcrt

ROOT = Path(lcrt.__file__).parent
COMMANDS = ("pull", "push", "import_", "export", "local")
KINDS = ("LcrtError", "RequestError", "InvalidRequest", "NotFound", "Conflict", "StoreError", "BusyError", "Refused")
KNOWN = (
    "no such file or directory",
    "digest mismatch, expected",
    "invalid digest format",
    "' not found",
)
"""Errors as they were recorded from Ollama."""


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Find where errors are made."""
    paths = [*ROOT.glob("registry/*.py"), *ROOT.glob("store/*.py"), *(ROOT / "cli" / f"{name}.py" for name in COMMANDS)]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                yield f"{path.name}:{node.lineno}", node


def has_hint(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Name)
    n_before = 2 if call.func.id == "Refused" else 1
    return len(call.args) > n_before or any(keyword.arg == "hint" for keyword in call.keywords)


def test_every_error_says_what_to_do_next() -> None:
    found = list(raised())
    bare = [
        f"{place}: {ast.unparse(call)}"
        for place, call in found
        if not has_hint(call) and not any(text in ast.unparse(call) for text in KNOWN)
    ]
    assert len(found) > 60
    assert bare == []
