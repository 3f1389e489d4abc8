import pytest

from lcrt.core.event import Finish, Text, Usage
from lcrt.core.format import Format
from lcrt.core.message import Message, ToolCall
from lcrt.core.name import ModelName
from lcrt.core.request import CreateRequest
from lcrt.modelfile.create import create
from lcrt.store import layers
from lcrt.store.layers import Layer
from lcrt.store.store import Store
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

PATH = "/api/chat"
ASK: dict[str, object] = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}


async def test_a_stream_is_a_line_for_each_event_and_ends_with_the_counts(client: Client) -> None:
    reply = await client.post(PATH, ASK)
    assert (reply.status, reply.kind) == (200, "application/x-ndjson")
    messages = [line["message"] for line in reply.lines]
    assert messages == [{"role": "assistant", "content": word} for word in ("The", " sky", " blue", "")]
    assert list(reply.lines[0]) == ["model", "created_at", "message", "done"]
    assert list(reply.lines[-1]) == [
        *("model", "created_at", "message", "done", "done_reason", "total_duration", "load_duration"),
        *("prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"),
    ]


async def test_without_a_stream_the_text_is_one(client: Client) -> None:
    found = (await client.post(PATH, ASK | {"stream": False})).json
    assert (found["message"], found["done_reason"]) == ({"role": "assistant", "content": "The sky blue"}, "length")


async def test_thinking_stands_beside_the_content(client: Client, models: FakeModels) -> None:
    models.answer = [(Text("", thinking="hm"),), (Text("a"),), (Finish("stop", Usage()),)]
    whole = (await client.post(PATH, ASK | {"stream": False})).json
    assert whole["message"] == {"role": "assistant", "content": "a", "thinking": "hm"}
    streamed = (await client.post(PATH, ASK)).lines
    assert streamed[0]["message"] == {"role": "assistant", "content": "", "thinking": "hm"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "", "top_logprobs": -1}, 400, "top_logprobs must be between 0 and 20"),
        ({"model": ""}, 400, "model is required"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "nope"}, 404, "model 'nope' not found"),
        ({"think": "low", "tools": [{"type": "function"}]}, 400, '"tiny" does not support thinking'),
        ({"tools": [{"type": "function"}]}, 400, "registry.ollama.ai/library/tiny:latest does not support tools"),
        ({"model": "embedder", "tools": [{}]}, 400, '"embedder" does not support chat'),
        ({"options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
        ({"format": "xml"}, 500, 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object'),
        ({"messages": [{"images": ["YWJj"]}]}, 400, '"tiny" takes text only, not images or audio'),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_loaded(
    client: Client, models: FakeModels, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post(PATH, ASK | body)
    assert (reply.status, reply.json) == (status, {"error": text})
    assert models.acquired == []


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "user", "content": "hi", "images": ["%%%"]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
    ],
)
async def test_a_message_of_another_shape_gets_a_400_also_for_a_missing_model(
    client: Client, message: dict[str, object]
) -> None:
    assert (await client.post(PATH, {"model": "nope", "messages": [message]})).status == 400


@pytest.mark.parametrize("body", [{"messages": []}, {"messages": None}, {}])
async def test_no_messages_only_load_the_model(client: Client, models: FakeModels, body: dict[str, object]) -> None:
    found = (await client.post(PATH, {"model": "tiny"} | body)).json
    assert (found["message"], found["done_reason"]) == ({"role": "assistant", "content": ""}, "load")
    assert (len(models.acquired), models.requests) == (1, [])


async def test_no_messages_and_no_keep_alive_unload(client: Client, models: FakeModels) -> None:
    found = (await client.post(PATH, {"model": "tiny", "messages": [], "keep_alive": "0s"})).json
    assert found["done_reason"] == "unload"
    assert (len(models.acquired), len(models.expired)) == (0, 1)


async def test_messages_arrive_whole(client: Client, models: FakeModels) -> None:
    call = {"id": "c1", "function": {"index": 1, "name": "f", "arguments": {"b": 1, "a": 2}}}
    answer = {"role": "Assistant", "content": None, "thinking": "t", "tool_calls": [call]}
    result = {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "c1"}
    await client.post(PATH, ASK | {"messages": [answer, result, {}]})
    assert models.requests[0].messages == (
        Message("assistant", "", "t", tool_calls=(ToolCall("f", '{"b":1,"a":2}', "c1", 1),)),
        Message("tool", "r", tool_name="f", tool_call_id="c1"),
        Message(""),
    )


@pytest.mark.parametrize(
    ("first", "leading"),
    [
        ("user", [("system", "be kind"), ("user", "hi"), ("assistant", "yo")]),
        ("system", [("user", "hi"), ("assistant", "yo")]),
    ],
)
async def test_the_models_own_messages_come_first(
    client: Client, models: FakeModels, store: Store, first: str, leading: list[tuple[str, str]]
) -> None:
    own = (Message("user", "hi"), Message("assistant", "yo"))
    list(create(store, CreateRequest("kind", from_="tiny", system="be kind", messages=own)))
    await client.post(PATH, {"model": "kind", "messages": [{"role": first, "content": "x"}]})
    assert [(m.role, m.content) for m in models.requests[0].messages] == [*leading, (first, "x")]


async def test_the_models_parameters_apply(client: Client, models: FakeModels, store: Store) -> None:
    list(create(store, CreateRequest("cold", from_="tiny", parameters={"temperature": 0.25, "top_k": 2})))
    await client.post(PATH, ASK | {"model": "cold", "options": {"top_k": 9}})
    sampling = models.requests[0].options.sampling
    assert (sampling.temperature, sampling.top_k) == (0.25, 9)


async def test_a_parameter_of_the_wrong_type_fails_every_request(client: Client, store: Store) -> None:
    tiny = store.get(ModelName.parse("tiny"))
    with store.hold() as hold:
        digest, size, _ = hold.put(b'{"temperature":"hot"}')
        params = Layer(layers.PARAMS, digest, size)
        store.publish(ModelName.parse("bad"), b"{}", (*tiny.layers, params))
    reply = await client.post(PATH, ASK | {"model": "bad"})
    assert (reply.status, reply.json) == (500, {"error": 'option "temperature" must be of type float32'})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("json", Format("json")),
        ({"type": "object"}, Format("schema", '{"type":"object"}')),
        ("", None),
        (None, None),
    ],
)
async def test_a_format_goes_with_the_request(
    client: Client, models: FakeModels, given: object, wanted: Format | None
) -> None:
    await client.post(PATH, ASK | {"format": given})
    assert models.requests[0].format == wanted
