"""POST /api/embed and /api/embeddings."""

from array import array

import msgspec

from lcrt.core.question import Embed
from lcrt.errors import LcrtError, NotFound, RequestError
from lcrt.modelfile.describe import Description
from lcrt.server import asking, inference
from lcrt.server.adapters import Adapter, Lora, applied
from lcrt.server.asking import Asked
from lcrt.server.clock import nanoseconds
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON, Exchange
from lcrt.server.ollama.request import read_keep_alive
from lcrt.server.services import Services


class _Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    input: object = None
    prompt: str | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    keep_alive: object = None
    options: dict[str, object] | None = None
    adapter: Adapter = None
    lora: Lora = None


_DECODER = Decoder(_Request)
_encode = msgspec.json.Encoder().encode


async def embed(services: Services, exchange: Exchange) -> None:
    """Answer with a vector for each text; without one the model is only loaded."""
    request = _DECODER.decode(await exchange.body.read())
    keep_alive = read_keep_alive(request.keep_alive)
    name = request.model or ""
    if not name:
        raise NotFound("model '' not found")
    inference.parse_name(name)
    texts = () if request.input in (None, "", []) else asking.read_texts(request.input)
    asked = Asked(await _find(services, name), request.options or {}, keep_alive)
    adapters = await applied(services, asked.model, request.adapter, request.lora)
    if not texts:
        await asking.ask(services, exchange, asked, None)
        await exchange.reply(200, _encode({"model": name, "embeddings": []}), JSON)
        return
    n_out = max(request.dimensions or 0, 0)
    question = Embed(texts, asked.n_ctx, request.truncate is not False, n_out, adapters=adapters)
    vectors, timed = await asking.vectors(services, exchange, asked, question)
    body = b'{"model":%b,"embeddings":[%b],"total_duration":%d,"load_duration":%d,"prompt_eval_count":%d}' % (
        _encode(name),
        b",".join(vectors.rows),
        max(nanoseconds(timed.total), 1),
        max(nanoseconds(timed.load), 1),
        vectors.n_tokens,
    )
    await exchange.reply(200, body, JSON)


async def embeddings(services: Services, exchange: Exchange) -> None:
    """Answer with one vector, the old way: nothing is cut, and what cannot be done is a 500."""
    request = _DECODER.decode(await exchange.body.read())
    keep_alive = read_keep_alive(request.keep_alive)
    asked = Asked(await _find(services, request.model or ""), request.options or {}, keep_alive)
    adapters = await applied(services, asked.model, request.adapter, request.lora)
    if not request.prompt:
        await asking.ask(services, exchange, asked, None)
        await exchange.reply(200, b'{"embedding":[]}', JSON)
        return
    question = Embed((request.prompt,), asked.n_ctx, truncate=False, as_json=False, adapters=adapters)
    try:
        vectors, _ = await asking.vectors(services, exchange, asked, question)
    except RequestError as error:
        raise LcrtError(str(error)) from error
    numbers = array("f", vectors.rows[0])
    await exchange.reply(200, _encode({"embedding": numbers.tolist()}), JSON)


async def _find(services: Services, name: str) -> Description:
    return await inference.find_model(services, name, f'model "{name}" not found, try pulling it first')
