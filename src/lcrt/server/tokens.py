"""Text to tokens and back, as clients of other servers ask for it.

``content`` and ``tokens`` are llama-server's words, ``prompt`` and ``messages`` vLLM's; who asks in whose
words is answered in them. Under ``/api`` everything is answered with the model's name and durations.
"""

import msgspec

from lcrt.core.question import Detokenise, Tokenise, Tokens
from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest
from lcrt.modelfile.describe import Description
from lcrt.server import asking, inference
from lcrt.server.asking import Asked, Timed
from lcrt.server.clock import nanoseconds
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON, Exchange
from lcrt.server.ollama.request import read_keep_alive
from lcrt.server.openai.messages import WireMessage, read_messages
from lcrt.server.services import Services


class _Tokenise(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    content: str | None = None
    prompt: str | None = None
    text: str | None = None
    messages: tuple[WireMessage, ...] | None = None
    add_special: bool | None = None
    add_special_tokens: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None
    return_token_strs: bool | None = None
    keep_alive: object = None
    options: dict[str, object] | None = None


class _Detokenise(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    tokens: tuple[int, ...] | None = None
    keep_alive: object = None
    options: dict[str, object] | None = None


_TOKENISE = Decoder(_Tokenise)
_DETOKENISE = Decoder(_Detokenise)
_encode = msgspec.json.Encoder().encode


async def tokenise(services: Services, exchange: Exchange) -> None:
    """Answer in the words of the question: ``content`` is llama-server's, anything else vLLM's."""
    request = _TOKENISE.decode(await exchange.body.read())
    model = await _model(services, request.model)
    question = _question(request, model, add_special=request.content is None)
    tokens, timed = await asking.tokens(services, exchange, _asked(model, request), question)
    if request.content is not None:
        listed = _pieces(tokens) if request.with_pieces else tokens.tokens
        body: dict[str, object] = {"tokens": listed}
    else:
        body = {"count": len(tokens.tokens), "max_model_len": timed.n_ctx, "tokens": tokens.tokens}
        if request.return_token_strs:
            body["token_strs"] = [piece.decode("utf-8", "replace") for piece in tokens.pieces]
    await exchange.reply(200, _encode(body), JSON)


async def detokenise(services: Services, exchange: Exchange) -> None:
    """Answer in both servers' words."""
    request = _DETOKENISE.decode(await exchange.body.read())
    model = await _model(services, request.model)
    text, _ = await asking.text(services, exchange, _asked(model, request), Detokenise(request.tokens or ()))
    await exchange.reply(200, _encode({"content": text, "prompt": text}), JSON)


async def api_tokenise(services: Services, exchange: Exchange) -> None:
    """Answer natively."""
    request = _TOKENISE.decode(await exchange.body.read())
    model = await _model(services, request.model)
    question = _question(request, model, add_special=True)
    tokens, timed = await asking.tokens(services, exchange, _asked(model, request), question)
    body: dict[str, object] = {"model": request.model or model.name.short, "tokens": tokens.tokens}
    if question.want_pieces:
        body["pieces"] = [piece["piece"] for piece in _pieces(tokens)]
    await exchange.reply(200, _encode(body | _durations(timed)), JSON)


async def api_detokenise(services: Services, exchange: Exchange) -> None:
    """Answer natively."""
    request = _DETOKENISE.decode(await exchange.body.read())
    model = await _model(services, request.model)
    text, timed = await asking.text(services, exchange, _asked(model, request), Detokenise(request.tokens or ()))
    body: dict[str, object] = {"model": request.model or model.name.short, "text": text}
    await exchange.reply(200, _encode(body | _durations(timed)), JSON)


def _asked(model: Description, request: _Tokenise | _Detokenise) -> Asked:
    return Asked(model, request.options or {}, read_keep_alive(request.keep_alive))


async def _model(services: Services, name: str | None) -> Description:
    """The model of this name; a server with one model has no names, so the only one that is loaded will do."""
    if not name:
        loaded = services.models.loaded()
        if len(loaded) != 1:
            raise InvalidRequest("model is required")
        name = loaded[0].model.name
    return await inference.find_model(services, name)


def _question(request: _Tokenise, model: Description, *, add_special: bool) -> Tokenise:
    """``add_special``: what this endpoint's clients expect when they do not say."""
    given = request.add_special if request.add_special is not None else request.add_special_tokens
    rendered: InferenceRequest | None = None
    if request.messages:
        template = model.spec().template
        rendered = InferenceRequest(messages=read_messages(request.messages), template=template)
    texts = (text for text in (request.content, request.prompt, request.text) if text is not None)
    text = next(texts, None)
    if text is None and rendered is None:
        raise InvalidRequest("a text to tokenize is required: `content`, `prompt` or `messages`")
    return Tokenise(
        text or "",
        rendered,
        add_special if given is None else given,
        request.parse_special is not False,
        bool(request.with_pieces or request.return_token_strs),
    )


def _pieces(tokens: Tokens) -> list[dict[str, object]]:
    """Tokens with their texts, or with their bytes where they are no text."""
    return [{"id": token, "piece": _piece(piece)} for token, piece in zip(tokens.tokens, tokens.pieces, strict=True)]


def _piece(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)


def _durations(timed: Timed) -> dict[str, object]:
    return {
        "total_duration": max(nanoseconds(timed.total), 1),
        "load_duration": max(nanoseconds(timed.load), 1),
    }
