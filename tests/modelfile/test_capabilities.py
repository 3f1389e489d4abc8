import pytest

from lcrt.modelfile.capabilities import Facts, capabilities, uses_jinja

GO_PLAIN = "{{ range .Messages }}{{ .Content }}{{ end }}"
GO_TOOLS = "{{ range .Tools }}{{ . }}{{ end }}{{ range .Messages }}{{ .ToolCalls }}{{ end }}"
GO_ROUND_TRIP = GO_TOOLS + '{{ range .Messages }}{{ if eq .Role "tool" }}x{{ end }}{{ end }}'
GO_INSERT = "{{ .Prompt }}{{ .Suffix }}"
GO_THINK = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}"
JINJA_PLAIN = "{{ messages }}"
JINJA_TOOLS = "{{ tools }}"
JINJA_ROUND_TRIP = "{{ tools }}{{ tool_calls }}{% if role == 'tool' %}"
JINJA_THINK = "<think></think>"


@pytest.mark.parametrize(
    ("go", "jinja", "expected"),
    [
        ("", "", False),
        ("", JINJA_PLAIN, True),
        (GO_PLAIN, "", False),
        (GO_PLAIN, JINJA_PLAIN, False),
        (GO_PLAIN, JINJA_TOOLS, True),
        (GO_TOOLS, JINJA_TOOLS, False),
        (GO_TOOLS, JINJA_ROUND_TRIP, True),
        (GO_ROUND_TRIP, JINJA_ROUND_TRIP, False),
        (GO_ROUND_TRIP, JINJA_TOOLS + JINJA_THINK, False),
        (GO_ROUND_TRIP, JINJA_ROUND_TRIP + JINJA_THINK, True),
        (GO_INSERT, JINJA_TOOLS, False),
        ("{{ broken", JINJA_TOOLS, True),
    ],
)
def test_the_template_that_knows_more_speaks_for_the_model(go: str, jinja: str, expected: bool) -> None:
    assert uses_jinja(Facts(go_template=go, jinja_template=jinja)) is expected


@pytest.mark.parametrize(
    "facts",
    [
        Facts(renderer="qwen3-coder", jinja_template=JINJA_TOOLS),
        Facts(parser="qwen3-coder", jinja_template=JINJA_TOOLS),
        Facts(family="gptoss", go_template="<|start|><|end|>{{ .Prompt }}", jinja_template=JINJA_ROUND_TRIP),
    ],
)
def test_a_renderer_a_parser_or_harmony_keeps_the_jinja_template_out(facts: Facts) -> None:
    assert not uses_jinja(facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(), ()),
        (Facts(has_weights=True), ("completion",)),
        (Facts(has_weights=True, has_pooling=True), ("embedding",)),
        (Facts(has_weights=True, jinja_template=JINJA_TOOLS + JINJA_THINK), ("tools", "thinking", "completion")),
        (Facts(has_weights=True, go_template=GO_TOOLS), ("completion", "tools")),
        (Facts(has_weights=True, go_template=GO_INSERT), ("completion", "insert")),
        (Facts(has_weights=True, go_template=GO_THINK), ("completion", "thinking")),
        (Facts(has_weights=True, has_vision=True, has_audio=True), ("completion", "vision", "audio")),
        (Facts(has_weights=True, has_projector=True), ("completion", "vision")),
        (Facts(has_weights=True, has_projector_audio=True, has_projector=True), ("completion", "vision", "audio")),
        (Facts(has_weights=True, parser="qwen3-coder"), ("completion", "tools")),
        (Facts(has_weights=True, parser="olmo3-think"), ("completion", "thinking")),
        (Facts(has_weights=True, parser="nosuch"), ("completion",)),
        (Facts(has_weights=True, family="gptoss"), ("completion", "thinking")),
        (Facts(has_weights=True, family="nemotron_h_omni", has_audio=True), ("completion",)),
        (Facts(declared=("vision", "completion"), has_weights=True), ("vision", "completion")),
    ],
)
def test_capabilities_come_in_the_order_that_clients_know(facts: Facts, expected: tuple[str, ...]) -> None:
    assert capabilities(facts) == expected
