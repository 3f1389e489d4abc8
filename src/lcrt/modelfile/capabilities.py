"""What a stored model can do, and which of its two templates speaks for it.

The order of the list is part of the contract: clients see it.
"""

from collections.abc import Iterable, Iterator

import msgspec

from lcrt.modelfile.template import Template, TemplateError, scan

_TOOLS = "tools"
_THINKING = "thinking"
_INSERT = "insert"

_GPT_OSS = frozenset({"gptoss", "gpt-oss"})
_NO_TOOLS = frozenset({"passthrough", "olmo3-think"})
_THINKING_PARSERS = frozenset(
    {"qwen3-thinking", "qwen3-vl-thinking", "qwen3.5", "ornith", "harmony", "cogito", "deepseek3", "olmo3-think"}
    | {"nemotron-3-nano", "nemotron-3.5-nano", "gemma4", "glm-4.7", "glm-ocr", "lfm2-thinking", "laguna"}
    | {"poolside-v1", "cohere", "glimmer"}
)
_PARSERS = _THINKING_PARSERS | {
    *("passthrough", "qwen3", "qwen3-vl-instruct", "qwen3-coder", "ministral", "olmo3", "functiongemma"),
    *("gemma4-no-thinking", "lfm2"),
}
_GO_TOOL_RESULTS = ('eq .Role "tool"', "tool_response", "TOOL_RESULTS")
_JINJA_TOOL_CALLS = ("tool_calls", "assistant_tool_call")
_JINJA_TOOL_RESULTS = (
    *("tool_response", "tool_results", "ipython"),
    *(f"{role} == {quote}tool{quote}" for role in ("role", "['role']", '["role"]') for quote in "'\""),
)


class Facts(msgspec.Struct, frozen=True):
    """What the capabilities depend on; templates are empty when the model has none."""

    declared: tuple[str, ...] = ()
    family: str = ""
    renderer: str = ""
    parser: str = ""
    go_template: str = ""
    jinja_template: str = ""
    has_weights: bool = False
    has_pooling: bool = False
    has_vision: bool = False
    has_audio: bool = False
    has_projector: bool = False
    has_projector_audio: bool = False


def uses_jinja(facts: Facts) -> bool:
    """Whether the GGUF's own template speaks for the model, and not the Go template of its layer."""
    if facts.renderer or facts.parser or not facts.jinja_template:
        return False
    if not facts.go_template:
        return True
    if facts.family in _GPT_OSS and "<|start|>" in facts.go_template and "<|end|>" in facts.go_template:
        return False
    go = set(_of_go_template(facts.go_template))
    jinja = set(_of_jinja_template(facts.jinja_template))
    go_trip, jinja_trip = _go_round_trip(facts.go_template), _jinja_round_trip(facts.jinja_template)
    if len(jinja) > len(go):
        return jinja_trip or not go_trip
    return jinja == go and _TOOLS in go and jinja_trip and not go_trip


def capabilities(facts: Facts) -> tuple[str, ...]:
    """List what the model can do, each once."""
    removed = {"audio"} if facts.family == "nemotron_h_omni" else set()
    found = dict.fromkeys(_collect(facts))
    return tuple(name for name in found if name not in removed)


def _collect(facts: Facts) -> Iterator[str]:
    jinja = uses_jinja(facts)
    yield from facts.declared
    if facts.has_weights:
        if jinja:
            yield from _of_jinja_template(facts.jinja_template)
        yield "embedding" if facts.has_pooling else "completion"
    yield from _chosen(vision=facts.has_vision or facts.has_projector)
    yield from _chosen(audio=facts.has_audio or facts.has_projector_audio)
    if not jinja:
        yield from _of_go_template(facts.go_template)
    if facts.parser in _PARSERS:
        yield from _chosen(tools=facts.parser not in _NO_TOOLS, thinking=facts.parser in _THINKING_PARSERS)
    yield from _chosen(thinking=facts.family in _GPT_OSS)


def _chosen(**flags: bool) -> Iterable[str]:
    return (name for name, is_set in flags.items() if is_set)


def _of_go_template(source: str) -> Iterable[str]:
    template = _scan(source)
    if template is None:
        return ()
    uses = template.variables
    return _chosen(tools=_TOOLS in uses, insert="suffix" in uses, thinking=template.has_thinking)


def _scan(source: str) -> Template | None:
    try:
        return scan(source) if source else None
    except TemplateError:
        return None


def _of_jinja_template(source: str) -> Iterable[str]:
    tagged = "<think>" in source and "</think>" in source
    splits = "</think>" in source and "split(" in source and "reasoning_content" not in source
    return _chosen(
        tools=_TOOLS in source or "tool_call" in source,
        thinking=tagged or (splits and "<SPECIAL_12>" not in source),
    )


def _go_round_trip(source: str) -> bool:
    template = _scan(source)
    if template is None or not {_TOOLS, "toolcalls"} <= template.variables:
        return False
    return any(mark in source for mark in _GO_TOOL_RESULTS)


def _jinja_round_trip(source: str) -> bool:
    if _TOOLS not in _of_jinja_template(source):
        return False
    return any(mark in source for mark in _JINJA_TOOL_CALLS) and any(mark in source for mark in _JINJA_TOOL_RESULTS)
