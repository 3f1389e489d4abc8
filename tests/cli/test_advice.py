"""No error leaves a person alone: it says what to do next itself, or the command line does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lcrt
from lcrt.cli.advice import advised
from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, failure
from tests.registry.test_errors import has_hint

ROOT = Path(lcrt.__file__).parent
ROOMS = ("store", "registry", "modelfile", "convert", "gguf", "task", "client", "cli")
KINDS = {node.name for node in ast.parse((ROOT / "errors.py").read_text()).body if isinstance(node, ast.ClassDef)} | {
    "Refused"
}
PLAIN = re.compile(r"must be|run 'lcrt serve'|: no such file or directory$")
"""Texts that say it, and one that ``lcrt push`` knows."""

PASSED_ON = {"reply.error", "event.error", "quantize.ONLY_FROM", "ONLY_FROM", "NO_SERVER", "f'(line {line}): {reason}'"}
"""Texts made elsewhere: the tests below have examples of them."""


def bare() -> Iterator[tuple[str, ast.expr]]:
    """Find errors that are made without advice, by their texts."""
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in KINDS and name != "Cancelled":
                call = ast.Call(ast.Name(name), node.args, node.keywords)
                if not has_hint(call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0]


def example(text: ast.expr) -> str:
    """Spell a text as it may be read, with some word in its gaps."""
    if isinstance(text, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "int" for part in text.values)
    return str(text.value) if isinstance(text, ast.Constant) else ""


def test_every_error_about_models_says_what_to_do_next() -> None:
    found = [(place, text) for place, text in bare() if ast.unparse(text) not in PASSED_ON]
    mute = [
        f"{place}: {ast.unparse(text)}"
        for place, text in found
        if "\n" not in advised(example(text)) and not PLAIN.search(example(text))
    ]
    assert len(found) > 30
    assert mute == []


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("model 'a:b' not found", "`lcrt list` shows what is here, `lcrt pull` fetches others"),
        ("(line 3): unknown parameter 'x'", "parameters are temperature"),
        ("unexpected EOF", "must end with the same"),
        ("quantization is only supported for F16, BF16 and F32 models", "start from weights of one of these types"),
        ("tokenizer.json` is damaged: it ends early", "fetch that file again"),
        ("rope scaling of kind `x` is not supported for this architecture", "a GGUF of this model"),
    ],
)
def test_a_known_text_gets_advice(message: str, hint: str) -> None:
    assert advised(message).startswith(message + "\n")
    assert hint in advised(message)


@pytest.mark.parametrize("message", ["something odd", "model 'x' not found\nsaid already"])
def test_other_texts_stay_as_they_are(message: str) -> None:
    assert advised(message) == message


def test_what_the_server_says_gets_advice_too(fake: FakeDaemon, lcrt: Lcrt) -> None:
    fake.on("POST", "/api/copy", failure(404, 'model "a" not found'))
    assert lcrt("cp", "a", "b").err == (
        'Error: model "a" not found\n`lcrt list` shows what is here, `lcrt pull` fetches others\n'
    )
