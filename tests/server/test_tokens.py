import pytest

from lcrt.core.message import Message
from lcrt.core.model import LoadedModel
from lcrt.core.question import Detokenise, PlainText, Tokenise, Tokens
from tests.server.fake import INFO, FakeModels
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

HALF = "😀".encode()[:2]


async def test_content_is_answered_as_llama_server_does(client: Client, models: FakeModels) -> None:
    models.reply = Tokens([5, 6], [])
    reply = await client.post("/tokenize", {"model": "tiny", "content": "hi"})
    assert (reply.status, reply.json) == (200, {"tokens": [5, 6]})
    assert models.questions == [Tokenise("hi", add_special=False)]


async def test_pieces_that_are_no_text_are_bytes(client: Client, models: FakeModels) -> None:
    models.reply = Tokens([5, 6], [b"hi", HALF])
    reply = await client.post("/tokenize", {"model": "tiny", "content": "hi", "with_pieces": True, "add_special": True})
    assert reply.json == {"tokens": [{"id": 5, "piece": "hi"}, {"id": 6, "piece": list(HALF)}]}
    assert models.questions == [Tokenise("hi", want_pieces=True)]


@pytest.mark.parametrize("path", ["/tokenize", "/v1/tokenize"])
async def test_a_prompt_is_answered_as_vllm_does(client: Client, models: FakeModels, path: str) -> None:
    models.reply = Tokens([5, 6], [b"hi", HALF])
    asked = {"model": "tiny", "prompt": "hi", "return_token_strs": True, "parse_special": False}
    reply = await client.post(path, asked)
    assert reply.json == {"count": 2, "max_model_len": INFO.n_ctx, "tokens": [5, 6], "token_strs": ["hi", "\ufffd"]}
    assert models.questions == [Tokenise("hi", parse_special=False, want_pieces=True)]


async def test_a_conversation_is_rendered_by_the_runner(client: Client, models: FakeModels) -> None:
    models.reply = Tokens([5], [])
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "add_special_tokens": False}
    assert (await client.post("/tokenize", asked)).json["count"] == 1
    [question] = models.questions
    assert isinstance(question, Tokenise)
    assert question.request is not None
    assert question.request.messages == (Message("user", "hi"),)
    assert not question.add_special


async def test_the_native_endpoints_name_the_model_and_say_how_long_it_took(client: Client, models: FakeModels) -> None:
    models.reply = Tokens([5], [])
    reply = (await client.post("/api/tokenize", {"model": "tiny", "text": "hi"})).json
    assert (reply["model"], reply["tokens"], reply["load_duration"]) == ("tiny", [5], 250_000_000)
    models.reply = PlainText("hi")
    reply = (await client.post("/api/detokenize", {"model": "tiny", "tokens": [5]})).json
    assert (reply["model"], reply["text"]) == ("tiny", "hi")
    assert models.questions == [Tokenise("hi"), Detokenise((5,))]


@pytest.mark.parametrize("path", ["/detokenize", "/v1/detokenize"])
async def test_a_text_comes_back_in_both_words(client: Client, models: FakeModels, path: str) -> None:
    models.reply = PlainText("hi")
    assert (await client.post(path, {"model": "tiny", "tokens": [5]})).json == {"content": "hi", "prompt": "hi"}


async def test_without_a_name_the_only_model_that_is_loaded_answers(client: Client, models: FakeModels) -> None:
    reply = await client.post("/tokenize", {"content": "hi"})
    assert (reply.status, reply.json["error"]["message"]) == (400, "model is required")  # type: ignore[index]
    models.reply = Tokens([5], [])
    await client.post("/tokenize", {"model": "tiny", "content": "hi"})
    models.rows = (LoadedModel(models.acquired[0][0], INFO, None, 0, "ready"),)
    assert (await client.post("/tokenize", {"content": "hi"})).json == {"tokens": [5]}


async def test_no_text_is_a_mistake(client: Client) -> None:
    reply = await client.post("/tokenize", {"model": "tiny"})
    assert reply.status == 400
    assert "`content`, `prompt` or `messages`" in reply.json["error"]["message"]  # type: ignore[index]
