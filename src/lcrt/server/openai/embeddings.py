"""POST /v1/embeddings."""

import binascii

import msgspec

from lcrt.core.question import Embed
from lcrt.errors import InvalidRequest
from lcrt.server import asking, inference
from lcrt.server.adapters import Adapter, Lora, applied
from lcrt.server.asking import Asked
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON_PLAIN, Exchange
from lcrt.server.openai.wire import EMPTY
from lcrt.server.services import Services

_FORMATS = ("", "float", "base64")


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    input: object = None
    dimensions: int | None = None
    encoding_format: str | None = None
    user: object = None
    adapter: Adapter = None
    lora: Lora = None


_DECODER = Decoder(_Request, EMPTY)
_encode = msgspec.json.Encoder().encode


async def embeddings(services: Services, exchange: Exchange) -> None:
    """Answer with a vector for each text."""
    request = _DECODER.decode(await exchange.body.read())
    encoding = (request.encoding_format or "").lower()
    if encoding not in _FORMATS:
        raise InvalidRequest(
            f"Invalid value for 'encoding_format' = {request.encoding_format}. Supported values: ['float', 'base64']."
        )
    if request.input is None or request.input == []:
        raise InvalidRequest("invalid input")
    texts = asking.read_texts(request.input)
    name = request.model or ""
    model = await inference.find_model(services, name, f'model "{name}" not found, try pulling it first')
    adapters = await applied(services, model, request.adapter, request.lora)
    n_out = max(request.dimensions or 0, 0)
    question = Embed(texts, dimensions=n_out, as_json=encoding != "base64", adapters=adapters)
    vectors, _ = await asking.vectors(services, exchange, Asked(model), question)
    rows = vectors.rows if question.as_json else [_base64(row) for row in vectors.rows]
    data = b",".join(
        b'{"object":"embedding","embedding":%b,"index":%d}' % (row, index) for index, row in enumerate(rows)
    )
    usage = _encode({"prompt_tokens": vectors.n_tokens, "total_tokens": vectors.n_tokens})
    body = b'{"object":"list","data":[%b],"model":%b,"usage":%b}\n' % (data, _encode(name), usage)
    await exchange.reply(200, body, JSON_PLAIN)


def _base64(row: bytes) -> bytes:
    return b'"%b"' % binascii.b2a_base64(row, newline=False)
