import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lcrt.errors import ClosedError, InvalidRequest, UnsupportedModel
from lcrt.native.chat import Chat
from lcrt.native.model import Model
from lcrt.native.values import ModelParams
from tests.native import tiny

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def apply(chat: Chat, messages: list[dict[str, Any]], **options: object) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(chat.apply(msgspec.json.encode({"messages": messages, **options})))
    return answer


def test_messages_become_a_prompt_through_the_model_s_template(model: Model) -> None:
    answer = apply(Chat(model), [{"role": "system", "content": "be kind"}, USER])
    assert answer["prompt"] == "<system>be kind</system><user>hi</user><assistant>"
    assert answer["generation_prompt"] == "<assistant>"
    rest = "format parser thinking_start thinking_end preserved_tokens stops"
    assert set(answer) == {"prompt", "generation_prompt", *rest.split()}


def test_the_prompt_of_the_answer_can_be_left_out(model: Model) -> None:
    assert apply(Chat(model), [USER], add_generation_prompt=False)["prompt"] == "<user>hi</user>"


def test_content_may_come_in_parts(model: Model) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    prompt = apply(Chat(model), [{"role": "user", "content": parts}])["prompt"]
    assert "one" in prompt
    assert "two" in prompt


def test_another_template_can_take_the_place_of_the_model_s(model: Model) -> None:
    chat = Chat(model, "{% for m in messages %}[{{ m.content }}]{% endfor %}")
    assert apply(chat, [USER])["prompt"] == "[hi]"


@pytest.mark.parametrize("template", [None, "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"])
def test_later_calls_say_the_same_as_the_first(model: Model, template: str | None) -> None:
    chat = Chat(model, template)
    first = apply(chat, [USER])
    assert apply(chat, [USER]) == first
    other = apply(chat, [{"role": "user", "content": "ho"}])
    assert other["prompt"] == first["prompt"].replace("hi", "ho")
    assert {**other, "prompt": ""} == {**first, "prompt": ""}


def test_thinking_is_announced_by_its_tags(model: Model) -> None:
    template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>"
        "{% if enable_thinking %}<think>{% else %}<think></think>{% endif %}{% endif %}"
    )
    chat = Chat(model, template)
    assert apply(chat, [USER], enable_thinking=True)["prompt"] == "<user>hi<assistant><think>"
    assert apply(chat, [USER], enable_thinking=False)["prompt"] == "<user>hi<assistant><think></think>"


def test_tools_reach_the_template(model: Model) -> None:
    chat = Chat(model, "{% if tools %}tools: {{ tools[0].function.name }} {% endif %}{{ messages[0].content }}")
    assert "tools: look" in apply(chat, [USER], tools=[TOOL])["prompt"]
    assert "tools" not in apply(chat, [USER])["prompt"]


def test_what_the_template_refuses_is_the_caller_s_mistake(model: Model) -> None:
    chat = Chat(model)
    with pytest.raises(InvalidRequest, match=r"^no critics here"):
        apply(chat, [{"role": "critic", "content": "bad"}])
    assert apply(chat, [USER])["prompt"]


@pytest.mark.parametrize(
    "request_text",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"messages": 5}',
        b'{"messages": [5]}',
        b'{"messages": [{"role": "user"}]}',
        b'{"messages": [{"role": 5, "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "smell"}]}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "tools": 7}',
        b'{"messages": [{"role": "user", "content": "x"}], "now": "soon"}',
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
    ],
)
def test_requests_of_the_wrong_shape_are_refused(model: Model, request_text: bytes) -> None:
    chat = Chat(model)
    with pytest.raises(InvalidRequest):
        chat.apply(request_text)
    assert apply(chat, [USER])["prompt"]


def test_json_of_any_depth_is_survived(model: Model) -> None:
    def nested(depth: int) -> bytes:
        inner = b"[" * depth + b"]" * depth
        return b'{"messages": [{"role": "user", "content": "\\"]}[["}], "tools": [], "other": ' + inner + b"}"

    chat = Chat(model)
    with pytest.raises(InvalidRequest, match="nested deeper than 512"):
        chat.apply(nested(1_000_000))
    assert chat.apply(nested(511))
    assert apply(chat, [{"role": "user", "content": "[" * 1000}])["prompt"]


@pytest.mark.parametrize("template", ["{% for %}", "{{ messages", "{% endif %}"])
def test_a_template_that_cannot_be_read_is_unsupported(model: Model, template: str) -> None:
    with pytest.raises(UnsupportedModel, match="chat template"):
        Chat(model, template)


def test_a_model_without_a_template_has_no_chat(tmp_path: Path) -> None:
    path = tiny.llama(tmp_path / "mute.gguf", tokenizer__chat_template="")
    with Model(path, ModelParams(vocab_only=True)) as mute, pytest.raises(UnsupportedModel, match="no chat template"):
        Chat(mute)


def test_threads_take_turns(model: Model) -> None:
    chat = Chat(model)
    prompts: list[str] = []

    def run(number: int) -> None:
        messages = [{"role": "user", "content": str(number)}]
        prompts.extend(apply(chat, messages)["prompt"] for _ in range(20))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(prompts)) == [f"<user>{number}</user><assistant>" for number in range(4)]
    assert len(prompts) == 80


def test_a_chat_outlives_its_model_but_not_its_end(own_model: Model) -> None:
    chat = Chat(own_model)
    own_model.close()
    assert apply(chat, [USER])["prompt"]
    chat.close()
    with pytest.raises(ClosedError):
        apply(chat, [USER])


def test_a_real_template_adds_its_own_system_prompt(real_model: Model) -> None:
    prompt = apply(Chat(real_model), [USER])["prompt"]
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant")
    assert prompt.endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 30000 + "1" + ")" * 30000 + " }}",
        "{{ " + "not " * 30000 + "1 }}",
        "{% if 1 %}" * 20000 + "{% endif %}" * 20000,
        "{{ " + "-" * 600000 + "1 }}",
    ],
    ids=["parentheses", "operators", "blocks", "signs"],
)
def test_a_template_nested_deeply_does_not_end_the_process(model: Model, template: str) -> None:
    chat = Chat(model, template)
    assert isinstance(apply(chat, [USER])["prompt"], str)
    chat.close()


def test_a_usual_template_needs_no_more_memory_than_there_is(tiny_path: Path) -> None:
    code = (
        "import resource, sys; from lcrt.native.model import Model; from lcrt.native.chat import Chat;"
        "model = Model(sys.argv[1]); used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2);"
        "Chat(model, '{% for m in messages %}{{ m.content }}{% endfor %}' + '{# a comment #}' * 400)"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_path)], check=True)


def test_a_template_beyond_a_size_is_refused(model: Model) -> None:
    with pytest.raises(UnsupportedModel, match="longer than"):
        Chat(model, "x" * (2**20 + 1))
