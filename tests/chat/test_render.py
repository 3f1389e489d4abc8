"""What the template is given, and what happens without one."""

import json

import pytest

from lcrt.chat.render import GO_TEMPLATE_TEXT, Conversation, JinjaTemplate, ModelTemplate, PlainTemplate, Prompt
from lcrt.core.message import Message, ToolCall
from lcrt.errors import InvalidRequest


class Echo:
    """A chat layer that remembers the request."""

    def __init__(self) -> None:
        self.seen: dict[str, object] = {}

    def apply(self, request: bytes) -> bytes:
        self.seen = json.loads(request)
        return b'{"prompt": "p", "format": "ignored", "stops": ["<end>"]}'


def test_a_conversation_goes_in_as_openai_messages_and_comes_out_as_a_prompt() -> None:
    echo = Echo()
    prompt = JinjaTemplate(echo).render(Conversation([Message("system", "be brief"), Message("user", "hi")]))
    assert prompt == Prompt("p", ("<end>",))
    assert echo.seen["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert echo.seen["enable_thinking"] is False
    assert "tools" not in echo.seen


def test_tool_calls_results_and_thinking_are_passed_on() -> None:
    echo = Echo()
    call = Message("assistant", "", thinking="hm", tool_calls=(ToolCall("add", '{"b":1,"a":2}', "c1"),))
    result = Message("tool", "3", tool_name="add", tool_call_id="c1")
    JinjaTemplate(echo).render(Conversation([call, result], b'[{"type":"function"}]', think=True))
    function = {"name": "add", "arguments": '{"b":1,"a":2}'}
    assert echo.seen["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "3", "name": "add", "tool_call_id": "c1"},
    ]
    assert echo.seen["tools"] == [{"type": "function"}]
    assert echo.seen["enable_thinking"] is True


def test_without_a_template_the_texts_follow_one_another() -> None:
    messages = [Message("system", "a"), Message("user", ""), Message("user", "b")]
    assert PlainTemplate().render(Conversation(messages)).text == "a\nb"


@pytest.mark.parametrize("go_template", ["{{ .Prompt }}", " {{ .Prompt }}\n"])
@pytest.mark.parametrize("jinja", [JinjaTemplate(Echo()), None])
def test_the_plain_go_template_needs_no_interpreter(go_template: str, jinja: JinjaTemplate | None) -> None:
    asked = Conversation([Message("user", "b")], go_template=go_template)
    assert ModelTemplate(jinja).render(asked).text == "b"


def test_a_model_without_any_template_gets_chatml_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    template = ModelTemplate(None)
    messages = [Message("system", "a"), Message("user", "b")]
    said = [template.render(Conversation(messages)) for _ in range(2)]
    assert said[0] == said[1]
    assert said[0] == Prompt("<|im_start|>system\na<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n")
    assert caplog.messages == ["this model has no chat template; ChatML is used"]


def test_another_go_template_is_refused_and_not_ignored() -> None:
    with pytest.raises(InvalidRequest, match=GO_TEMPLATE_TEXT):
        ModelTemplate(None).render(Conversation([Message("user", "b")], go_template="{{ .System }}"))


def test_the_template_of_the_file_stands_in_for_it_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    template = ModelTemplate(JinjaTemplate(Echo()))
    assert template.render(Conversation([])).text == "p"
    assert caplog.messages == []
    for _ in range(2):
        assert template.render(Conversation([], go_template="{{ .System }}")).text == "p"
    assert caplog.messages == [f"{GO_TEMPLATE_TEXT}; the one in the GGUF file is used instead"]
