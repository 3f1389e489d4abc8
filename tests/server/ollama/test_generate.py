import re

import pytest

from lcrt.core.event import Failure, Finish, Logprob, Text, TokenLogprob, Usage
from lcrt.core.format import Format
from lcrt.core.message import Message
from lcrt.core.options import LoadOptions
from lcrt.core.request import CreateRequest
from lcrt.errors import BusyError, LoadError
from lcrt.modelfile.create import create
from lcrt.store.store import Store
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

PATH = "/api/generate"
ASK = {"model": "tiny", "prompt": "x"}


async def test_a_stream_is_a_line_for_each_event_and_ends_with_the_counts(client: Client) -> None:
    reply = await client.post(PATH, ASK)
    assert (reply.status, reply.kind) == (200, "application/x-ndjson")
    assert [line["response"] for line in reply.lines] == ["The", " sky", " blue", ""]
    assert [line["done"] for line in reply.lines] == [False, False, False, True]
    assert list(reply.lines[0]) == ["model", "created_at", "response", "done"]
    assert list(reply.lines[-1]) == [
        *("model", "created_at", "response", "done", "done_reason", "context", "total_duration", "load_duration"),
        *("prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"),
    ]


async def test_without_a_stream_the_text_is_one_and_ends_without_a_newline(client: Client) -> None:
    reply = await client.post(PATH, ASK | {"stream": False})
    assert (reply.kind, reply.body[-1:]) == ("application/json; charset=utf-8", b"}")
    found = reply.json
    assert (found["response"], found["done_reason"], found["context"]) == ("The sky blue", "length", [1, 2, 3])
    assert (found["load_duration"], found["prompt_eval_count"], found["eval_count"]) == (250_000_000, 15, 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z", str(found["created_at"]))


async def test_work_that_was_done_never_took_no_time(client: Client, models: FakeModels) -> None:
    models.answer = [(Finish("stop", Usage(n_prompt=1, n_generated=1, n_sampled=1)),)]
    found = (await client.post(PATH, ASK | {"stream": False})).json
    assert (found["prompt_eval_duration"], found["eval_duration"]) == (1, 1)


async def test_zeros_are_left_out(client: Client, models: FakeModels) -> None:
    models.answer = [(Finish("stop", Usage()),)]
    found = (await client.post(PATH, ASK | {"stream": False})).json
    assert not {"prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration", "thinking"} & set(found)


async def test_the_model_is_named_as_it_was_asked_for(client: Client, models: FakeModels) -> None:
    reply = await client.post(PATH, ASK | {"model": "TINY"})
    assert {line["model"] for line in reply.lines} == {"TINY"}
    assert models.acquired[0][0].name == "tiny:latest"


async def test_logprobs_carry_tokens_bytes_and_alternatives(client: Client, models: FakeModels) -> None:
    reply = await client.post(PATH, ASK | {"logprobs": True, "top_logprobs": 1})
    entry = {"token": "The", "logprob": -0.5, "bytes": [84, 104, 101]}
    assert reply.lines[0]["logprobs"] == [entry | {"top_logprobs": [entry]}]
    assert models.requests[0].n_logprobs == 1
    assert "logprobs" not in reply.lines[-1]
    whole = await client.post(PATH, ASK | {"logprobs": True, "stream": False})
    assert [each["token"] for each in whole.json["logprobs"]] == ["The", " sky", " blue"]  # type: ignore[attr-defined]


async def test_events_without_anything_visible_are_not_sent(client: Client, models: FakeModels) -> None:
    held = TokenLogprob(Logprob("é", -1.0, "é".encode()))
    models.answer = [(Text(""),), (Text("", logprobs=(held,)),), (Finish("stop", Usage(), text="é"),)]
    lines = (await client.post(PATH, ASK)).lines
    assert [line["response"] for line in lines] == ["", "é"]
    assert "logprobs" in lines[0]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"top_logprobs": 21, "model": "nope"}, 400, "top_logprobs must be between 0 and 20"),
        ({"keep_alive": "soon", "top_logprobs": 21}, 400, 'time: invalid duration "soon"'),
        ({"keep_alive": "10"}, 400, 'time: missing unit in duration "10"'),
        ({"keep_alive": True}, 400, "Unsupported type: 'bool'"),
        (
            {"think": "hard"},
            400,
            'invalid think value: "hard" (must be "high", "medium", "low", "max", true, or false)',
        ),
        ({"think": 1}, 400, 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'),
        ({"model": ""}, 404, "model '' not found"),
        ({"model": None}, 404, "model '' not found"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "nope", "raw": True, "system": "s"}, 404, "model 'nope' not found"),
        ({"model": "tiny:cloud:local"}, 400, 'use either :local or :cloud, not both: "tiny:cloud:local"'),
        ({"raw": True, "system": "s", "think": True}, 400, "raw mode does not support template, system, or context"),
        ({"raw": True, "context": [1]}, 400, "raw mode does not support template, system, or context"),
        ({"think": True, "suffix": "s"}, 400, '"tiny" does not support thinking'),
        ({"think": "high"}, 400, '"tiny" does not support thinking'),
        ({"model": "embedder"}, 400, '"embedder" does not support generate'),
        ({"options": {"temperature": "hot"}, "format": "xml"}, 500, 'option "temperature" must be of type float32'),
        ({"template": "{{ .Foo"}, 500, "template: :1: unclosed action"),
        ({"template": "{{ .Prompt }}"}, 501, "templates in requests are not available in this version"),
        ({"format": "xml"}, 500, 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object'),
        ({"format": 7}, 500, 'invalid format: "7"; expected "json" or a valid JSON Schema object'),
        ({"images": ["YWJj"]}, 400, '"tiny" takes text only, not images or audio'),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_loaded(
    client: Client, models: FakeModels, body: dict[str, object], status: int, text: str
) -> None:
    reply = await client.post(PATH, ASK | body)
    assert (reply.status, reply.json, reply.kind) == (status, {"error": text}, "application/json; charset=utf-8")
    assert models.acquired == []


@pytest.mark.parametrize("body", [b"", b" ", b"{bad", b"[]", b"\x1f\x8b\x08", b'{"prompt":1}', b'{"images":["%"]}'])
async def test_a_body_that_is_no_request_gets_a_400(client: Client, body: bytes) -> None:
    reply = await client.send("POST", PATH, body)
    assert (reply.status, list(reply.json)) == (400, ["error"])


async def test_no_prompt_only_loads_the_model(client: Client, models: FakeModels) -> None:
    found = (await client.post(PATH, {"model": "tiny", "images": ["YWJj"]})).json
    assert (found["response"], found["done"], found["done_reason"]) == ("", True, "load")
    assert "total_duration" not in found
    assert (len(models.acquired), models.released, models.requests) == (1, 1, [])


async def test_no_prompt_and_no_keep_alive_unloads_without_loading(client: Client, models: FakeModels) -> None:
    found = (await client.post(PATH, {"model": "tiny", "keep_alive": 0})).json
    assert (found["done"], found["done_reason"]) == (True, "unload")
    assert models.acquired == []
    assert models.expired[0].rpartition("/")[2].startswith("sha256-")


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, None), ({"keep_alive": 60}, 60), ({"keep_alive": "10m"}, 600), ({"keep_alive": -1}, -1)]
)
async def test_keep_alive_and_shift_and_load_options_reach_the_scheduler(
    client: Client, models: FakeModels, given: dict[str, object], seconds: float | None
) -> None:
    await client.post(PATH, ASK | given | {"shift": False, "options": {"num_ctx": 64}})
    assert models.acquired[0][1:] == (LoadOptions(num_ctx=64), False, seconds)


async def test_the_prompt_is_a_message_of_the_user_after_the_system_text(client: Client, models: FakeModels) -> None:
    await client.post(PATH, ASK | {"system": "be brief", "context": [7, 8], "truncate": False, "think": False})
    request = models.requests[0]
    assert request.messages == (Message("system", "be brief"), Message("user", "x"))
    assert (request.prompt, request.context, request.truncate, request.think) == (None, (7, 8), False, False)
    assert request.want_context


async def test_a_raw_prompt_goes_to_the_tokenizer_as_it_is(client: Client, models: FakeModels) -> None:
    reply = await client.post(PATH, ASK | {"raw": True})
    assert (models.requests[0].prompt, models.requests[0].messages) == ("x", ())
    assert "context" not in reply.lines[-1]


async def test_the_prompt_can_be_shown_instead(client: Client) -> None:
    reply = await client.post(PATH, ASK | {"_debug_render_only": True})
    assert reply.json["_debug_info"] == {"rendered_template": "prompt"}
    assert (reply.json["done"], reply.json["response"]) == (False, "")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (BusyError("server busy"), 503, "server busy"),
        (LoadError("no such weights"), 500, "no such weights"),
    ],
)
async def test_a_model_that_cannot_be_had_is_an_error_with_its_status(
    client: Client, models: FakeModels, error: BusyError | LoadError, status: int, text: str
) -> None:
    models.error = error
    reply = await client.post(PATH, ASK)
    assert (reply.status, reply.json) == (status, {"error": text})


async def test_a_failure_before_the_first_byte_has_a_status(client: Client, models: FakeModels) -> None:
    models.answer = [(Finish("error", Usage(), error=Failure("InvalidRequest", "too long")),)]
    reply = await client.post(PATH, ASK)
    assert (reply.status, reply.json) == (400, {"error": "too long"})


async def test_a_failure_in_the_stream_is_its_last_line(client: Client, models: FakeModels) -> None:
    models.answer = [(Text("a"),), (Text("b"), Finish("error", Usage(), error=Failure("RunnerDied", "gone")))]
    reply = await client.post(PATH, ASK)
    assert reply.status == 200
    assert [line.get("response", line.get("error")) for line in reply.lines] == ["a", "b", "gone"]


GONE = (Finish("error", Usage(), error=Failure("RunnerGone", "gone")),)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_runner_that_is_gone_before_it_begins_is_replaced(
    client: Client, models: FakeModels, stream: bool
) -> None:
    models.once = [GONE]
    reply = await client.post(PATH, ASK | {"stream": stream})
    assert (reply.status, "".join(str(line["response"]) for line in reply.lines)) == (200, "The sky blue")
    assert (len(models.acquired), models.released, len(models.requests)) == (2, 2, 2)


async def test_a_runner_is_replaced_only_once(client: Client, models: FakeModels) -> None:
    models.answer = [GONE]
    reply = await client.post(PATH, ASK)
    assert (reply.status, reply.json, len(models.acquired)) == (500, {"error": "gone"}, 2)


async def test_an_answer_that_breaks_off_is_an_error(client: Client, models: FakeModels) -> None:
    models.answer = [(Text("a"),)]
    assert (await client.post(PATH, ASK | {"stream": False})).status == 500
    assert "error" in (await client.post(PATH, ASK)).lines[-1]


async def test_a_handler_that_fails_costs_nobody_else_anything(client: Client, models: FakeModels) -> None:
    models.answer = [("nonsense",)]  # type: ignore[list-item]
    models.error = ValueError("a bug")  # type: ignore[assignment]
    reply = await client.post(PATH, ASK)
    assert (reply.status, reply.json) == (500, {"error": "internal error, see the server's log"})
    assert (await client.get("/api/version")).status == 200


async def test_strings_are_encoded_as_json(client: Client, models: FakeModels) -> None:
    models.answer = [(Text('"\n\\é😀\u2028'),), (Finish("stop", Usage()),)]
    assert (await client.post(PATH, ASK)).lines[0]["response"] == '"\n\\é😀\u2028'


async def test_the_template_that_speaks_for_a_model_goes_with_its_requests(
    client: Client, models: FakeModels, store: Store
) -> None:
    for _ in create(store, CreateRequest("own", from_="tiny", template="{{ .Prompt }}")):
        pass
    for name in ("own", "tiny"):
        await client.post(PATH, ASK | {"model": name})
    assert [request.template for request in models.requests] == ["{{ .Prompt }}", ""]


async def test_a_format_goes_with_the_request(client: Client, models: FakeModels) -> None:
    await client.post(PATH, ASK | {"format": {"type": "object", "title": "b"}})
    assert models.requests[0].format == Format("schema", '{"type":"object","title":"b"}')
