import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.modelfile.template import TemplateError, scan


def test_variables_and_thinking_tags_agree_with_the_recorded_ones(conformance: Path) -> None:
    vectors = conformance / "vectors"
    sources = json.loads((vectors / "templates-custom-source.json").read_text())
    sources |= {path.stem: path.read_text() for path in (vectors / "gotmpl").glob("*.gotmpl")}
    for case in json.loads((vectors / "templates-meta.json").read_text()):
        found = scan(sources[case["template"]])
        tags = (found.think_open, found.think_close) if found.has_thinking else ("", "")
        assert sorted(found.variables) == case["vars"], case["template"]
        assert tags == (case["think_open"], case["think_close"]), case["template"]


def test_errors_agree_with_the_recorded_ones(conformance: Path) -> None:
    for case in json.loads((conformance / "vectors" / "templates-errors.json").read_text()):
        if case["error"] == "undefined template specified":
            continue
        try:
            scan(case["source"])
            error = None
        except TemplateError as refused:
            error = str(refused)
        assert error == case["error"], case["source"]


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ("{{ .Prompt }}", {"prompt", "response"}),
        ("{{ range .Messages }}{{ .Content }}{{ end }}", {"messages", "content"}),
        ("{{ if .A }}{{ else if .B }}{{ else }}{{ .C }}{{ end }}{{ .Response }}", {"a", "b", "c", "response"}),
        ("{{ $x := .A }}{{ $x }}", {"$x", "a", "response"}),
        ("{{ range $i, $m := .Messages }}{{ $m.Content }}{{ end }}", {"messages", "$m", "content"}),
        ("{{ (index .Messages 0).Role }}{{ 3.5 }}", {"messages", "role"}),
        ('{{/* .Hidden */}}{{ ".Hidden" }}{{ `.Hidden` }}{{ .Shown }}', {"shown", "response"}),
    ],
)
def test_a_template_uses_what_its_actions_name(source: str, variables: set[str]) -> None:
    assert scan(source).variables == variables


def test_thinking_tags_stand_around_the_field_inside_the_loop() -> None:
    body = "{{ if .Thinking }}<t>\n{{ .Thinking }} </t>{{ end }}"
    found = scan(f"{{{{ range .Messages }}}}x{body}{{{{ end }}}}")
    assert (found.think_open, found.think_close, found.has_thinking) == ("<t>", "</t>", True)
    assert not scan(body).has_thinking


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("a\n{{ .Foo", "template: :2: unclosed action"),
        ("{{ if }}x{{ end }}", "missing value for if"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ if .A }}{{ end }}{{ end }}", "unexpected {{end}}"),
        ("{{ if .A }}{{ else if .B }}{{ end }}{{ end }}", "unexpected {{end}}"),
        ("{{ if .A }}{{ range .B }}{{ end }}", "unexpected EOF"),
        ("{{ `x }}", "unterminated raw quoted string"),
        ("{{ }}", "missing value for command"),
        ("{{ .A ! }}", "unexpected"),
    ],
)
def test_what_go_would_refuse_is_refused(source: str, error: str) -> None:
    with pytest.raises(TemplateError, match=error.replace("{", r"\{")):
        scan(source)


@given(st.text(alphabet='{}-.$ \n"`/*()|:=,ifend rangelsMT'))
def test_any_text_is_scanned_or_refused(source: str) -> None:
    try:
        scan(source)
    except TemplateError:
        return
