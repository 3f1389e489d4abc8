"""The many ways in which clients say what an answer must look like."""

import pytest

from lcrt.core.format import Format
from tests.server.fake import FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

CHAT: dict[str, object] = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
COMPLETION: dict[str, object] = {"model": "tiny", "prompt": "x"}
SCHEMA: dict[str, object] = {"type": "object"}
WANTED = Format("schema", '{"type":"object"}')


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, None),
        ({"response_format": None}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": " JSON_object"}}, Format("json")),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, WANTED),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}, WANTED),
        ({"response_format": {"type": "json_schema", "json_schema": {"strict": True, "schema": SCHEMA}}}, WANTED),
        ({"response_format": {"type": "json_schema"}}, None),
        ({"json_schema": SCHEMA}, WANTED),
        ({"grammar": 'root ::= "a"'}, Format("gbnf", 'root ::= "a"')),
        ({"regex": "a+"}, Format("regex", "a+")),
        ({"lark": "start: A"}, Format("lark", "start: A")),
        ({"guided_json": SCHEMA}, WANTED),
        ({"guided_json": '{"type":"object"}'}, WANTED),
        ({"guided_regex": "a+"}, Format("regex", "a+")),
        ({"guided_choice": ["a", "b"]}, Format("choice", '["a","b"]')),
        ({"guided_grammar": "start: A"}, Format("lark", "start: A")),
        ({"guided_grammar": 'root ::= "a"'}, Format("gbnf", 'root ::= "a"')),
        ({"structured_outputs": {"json": SCHEMA}}, WANTED),
        ({"structured_outputs": {"json_object": True}}, Format("json")),
        ({"structured_outputs": {"choice": ["a"]}}, Format("choice", '["a"]')),
        ({"structured_outputs": {"regex": "a", "unknown": 1}}, Format("regex", "a")),
    ],
)
@pytest.mark.parametrize(("path", "ask"), [("/v1/chat/completions", CHAT), ("/v1/completions", COMPLETION)])
async def test_every_way_is_one_format(
    client: Client,
    models: FakeModels,
    path: str,
    ask: dict[str, object],
    body: dict[str, object],
    wanted: Format | None,
) -> None:
    reply = await client.post(path, ask | body)
    assert reply.status == 200
    assert models.requests[0].format == wanted
