"""POST /v1/rerank and /rerank, in the form that most clients of hosted rerankers send."""

import math

import msgspec

from lcrt.core.question import Rank, Scores
from lcrt.errors import InvalidRequest
from lcrt.server import asking, inference
from lcrt.server.adapters import Adapter, Lora, applied
from lcrt.server.asking import Asked
from lcrt.server.decode import Decoder
from lcrt.server.exchange import JSON_PLAIN, Exchange
from lcrt.server.openai.wire import EMPTY, new_id
from lcrt.server.services import Services

_DOCUMENT = "each document must be a text, or an object with a `text`"


class _Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``by_embeddings`` lets a model that is no reranker compare vectors; ``raw_scores`` leaves scores as they are."""

    model: str | None = None
    query: str | None = None
    documents: list[object] | None = None
    top_n: int | None = None
    return_documents: bool | None = None
    raw_scores: bool | None = None
    by_embeddings: bool | None = None
    adapter: Adapter = None
    lora: Lora = None


class _Document(msgspec.Struct, frozen=True):
    text: str


class _Result(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    index: int
    relevance_score: float
    document: _Document | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class _Answer(msgspec.Struct, frozen=True):
    id: str
    model: str
    object: str
    results: list[_Result]
    usage: _Usage


_DECODER = Decoder(_Request, EMPTY)


async def rerank(services: Services, exchange: Exchange) -> None:
    """Answer with the documents' places, the best first."""
    request = _DECODER.decode(await exchange.body.read())
    if not request.query:
        raise InvalidRequest("query is required")
    if not request.documents:
        raise InvalidRequest("documents is required")
    if request.top_n is not None and request.top_n < 1:
        raise InvalidRequest("top_n must be at least 1")
    documents = tuple(_text(document) for document in request.documents)
    name = request.model or ""
    model = await inference.find_model(services, name)
    adapters = await applied(services, model, request.adapter, request.lora)
    question = Rank(request.query, documents, by_vectors=bool(request.by_embeddings), adapters=adapters)
    scores = await asking.scores(services, exchange, Asked(model), question)
    numbers = scores.scores if request.raw_scores else relevance(scores)
    order = sorted(range(len(numbers)), key=lambda index: -numbers[index])
    results = [
        _Result(
            index=index,
            relevance_score=numbers[index],
            document=_Document(documents[index]) if request.return_documents else None,
        )
        for index in order[: request.top_n]
    ]
    usage = _Usage(scores.n_tokens, scores.n_tokens)
    answer = _Answer(new_id("rerank"), name, "list", results, usage)
    await exchange.reply(200, msgspec.json.encode(answer) + b"\n", JSON_PLAIN)


def relevance(scores: Scores) -> list[float]:
    """Bring a reranker's one number between 0 and 1; what has two is a share already, and cosines stay."""
    if scores.labels != 1:
        return scores.scores
    return [1 / (1 + math.exp(-score)) if score > -700 else 0.0 for score in scores.scores]


def _text(document: object) -> str:
    if isinstance(document, str):
        return document
    if isinstance(document, dict) and isinstance(text := document.get("text"), str):
        return text
    raise InvalidRequest(_DOCUMENT)
