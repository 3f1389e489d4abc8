import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.errors import InvalidRequest
from lcrt.modelfile.parse import Command, parse_modelfile, quote, write_modelfile

KEPT_HERE = "a\u200db\u3000c\u00a0d\te"
"""A recorded text whose joiner and wide spaces Ollama drops and lcrt keeps."""


def test_modelfiles_agree_with_the_recorded_ones(conformance: Path) -> None:
    for case in json.loads((conformance / "vectors" / "modelfile.json").read_text()):
        if KEPT_HERE in case["input"]:
            continue
        if case["error"]:
            with pytest.raises(InvalidRequest) as refused:
                parse_modelfile(case["input"])
            assert refused.value.message == case["error"], case["input"]
        else:
            commands = parse_modelfile(case["input"])
            assert [{"name": c.name, "args": c.args} for c in commands] == case["commands"], case["input"]
            assert write_modelfile(commands) == case["text"], case["input"]


def args(text: str, name: str) -> list[str]:
    return [command.args for command in parse_modelfile(text) if command.name == name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SYSTEM a # b", "a # b"),
        ("SYSTEM   a  b  ", "a  b"),
        ("SYSTEM", None),
        ("system\tx", "x"),
        ('SYSTEM "a"', "a"),
        ('SYSTEM "a b\n\nc"', "a b\n\nc"),
        ('SYSTEM """a\n"b" c\n"""  ', 'a\n"b" c\n'),
        ('SYSTEM """a\n""" b\n"""', 'a\n""" b\n'),
        ('SYSTEM "', None),
        ('SYSTEM """""', None),
        ('SYSTEM ""x""', '"x"'),
        ("SYSTEM 'a'", "'a'"),
        (f"SYSTEM {KEPT_HERE}", KEPT_HERE),
        ("SYSTEM \U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
    ],
)
def test_a_value_ends_with_its_line_or_with_its_quotes(text: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(InvalidRequest, match="unexpected EOF"):
            parse_modelfile(f"FROM x\n{text}")
    else:
        assert args(f"FROM x\n{text}\n", "system") == [value]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_line(end: str) -> None:
    assert args(f"FROM x{end}# c{end}{end}LICENSE a{end}LICENSE b", "license") == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_usual_encoding_is_read(encoding: str) -> None:
    assert parse_modelfile("FROM é".encode(encoding)) == (Command("model", "é"),)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("FROM x\nFOO bar", "(line 2): command must be one of"),
        ("FROM x\nMESSAGE tool hi", '(line 2): message role must be one of "system", "user", or "assistant"'),
        ("FROM x\nPARAMETER a-b 1", "unexpected EOF: a"),
        ("FROM\nSYSTEM x", "unexpected EOF: FROM"),
        ("SYSTEM x", "no FROM line"),
    ],
)
def test_a_modelfile_says_what_is_wrong_with_it(text: str, error: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_modelfile(text)
    assert refused.value.message.startswith(error)


def test_a_long_quoted_text_takes_linear_time() -> None:
    text = "line\n" * 200_000
    assert args(f'FROM x\nLICENSE """{text}"""', "license") == [text]


TEXTS = st.text(alphabet='ab "\n#\r\t\xa0\u3000é', max_size=12) | st.text()


@given(st.lists(st.tuples(st.sampled_from(["system", "template", "license", "stop"]), TEXTS)))
def test_what_is_written_reads_back(values: list[tuple[str, str]]) -> None:
    """All but what has a line with three quotes at its end: the language has no way to write that."""
    clean = [(name, text) for name, text in values if not re.search(r'"""\s*(?:[\r\n]|$)', text)]
    commands = (Command("model", "x"), *(Command(name, text) for name, text in clean))
    assert parse_modelfile(write_modelfile(commands)) == commands


@given(TEXTS)
def test_quotes_are_used_only_where_they_are_needed(text: str) -> None:
    usual = "\n" not in text and not text.startswith(" ") and not text.endswith(" ")
    if usual and text == text.strip() and "\r" not in text and not text.startswith('"'):
        assert quote(text) == text


@given(st.text())
def test_any_text_is_a_modelfile_or_refused(text: str) -> None:
    try:
        parse_modelfile(f"FROM x\n{text}")
    except InvalidRequest:
        return
