"""One question to a runner, whatever the dialect: name to model, model to lease, one answer."""

import logging
import time
from collections.abc import Mapping

import msgspec

from lcrt.core.question import Detokenise, Embed, PlainText, Question, Rank, Reply, Scores, Tokenise, Tokens, Vectors
from lcrt.errors import EngineError, InvalidRequest, RunnerGone
from lcrt.modelfile.describe import Description
from lcrt.server.exchange import Exchange, Outcome
from lcrt.server.options import merge
from lcrt.server.services import Services
from lcrt.server.stream import Attended

_LOG = logging.getLogger("lcrt.server")


class Asked(msgspec.Struct, frozen=True):
    """A model with the options of one request. ``keep_alive`` in seconds, infinite for ever."""

    model: Description
    options: Mapping[str, object] = {}
    keep_alive: float | None = None

    @property
    def n_ctx(self) -> int | None:
        """The tokens that one text may have; below what a context needs is possible here."""
        wanted = self.options.get("num_ctx")
        is_number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
        return max(int(wanted), 0) if is_number and isinstance(wanted, int | float) else None


class Timed(msgspec.Struct, frozen=True):
    """An answer, and the seconds that loading and everything took."""

    reply: Reply
    n_ctx: int
    load: float
    total: float


async def ask(services: Services, exchange: Exchange, asked: Asked, question: Question | None) -> Timed:
    """Load the model, and ask it unless there is nothing to ask.

    A runner that ends before it answers is replaced, once.
    """
    async with Attended(exchange):
        try:
            return await _ask(services, exchange, asked, question)
        except RunnerGone:
            _LOG.warning("the runner of %s is gone, its question goes to a new one", asked.model.name.short)
            return await _ask(services, exchange, asked, question)


async def _ask(services: Services, exchange: Exchange, asked: Asked, question: Question | None) -> Timed:
    """The length of a text is the question's; a context for generations is not made again for it."""
    given = {name: value for name, value in asked.options.items() if name != "num_ctx"}
    options = merge(asked.model.parameters, given)
    await services.verify_links(asked.model)
    keep_alive = -1.0 if asked.keep_alive == float("inf") else asked.keep_alive
    async with await services.models.acquire(asked.model.spec(), options.load, keep_alive=keep_alive) as lease:
        outcome = exchange.outcome = Outcome(asked.model.name.short, "load", load=lease.load_duration)
        reply: Reply = Vectors([], 0)
        if question is not None:
            outcome.finish = "cancel"
            reply = await lease.ask(question)
            outcome.finish = "stop"
            outcome.n_prompt = reply.n_tokens if isinstance(reply, Vectors | Scores) else 0
        return Timed(reply, lease.info.n_ctx, lease.load_duration, time.monotonic() - exchange.started_at)


async def vectors(
    services: Services, exchange: Exchange, asked: Asked, question: Embed | None
) -> tuple[Vectors, Timed]:
    """Ask for vectors; none for no question."""
    timed = await ask(services, exchange, asked, question)
    if not isinstance(timed.reply, Vectors):
        raise EngineError(_ODD)
    return timed.reply, timed


async def scores(services: Services, exchange: Exchange, asked: Asked, question: Rank) -> Scores:
    """Ask for scores."""
    timed = await ask(services, exchange, asked, question)
    if not isinstance(timed.reply, Scores):
        raise EngineError(_ODD)
    return timed.reply


async def tokens(services: Services, exchange: Exchange, asked: Asked, question: Tokenise) -> tuple[Tokens, Timed]:
    """Ask for tokens."""
    timed = await ask(services, exchange, asked, question)
    if not isinstance(timed.reply, Tokens):
        raise EngineError(_ODD)
    return timed.reply, timed


async def text(services: Services, exchange: Exchange, asked: Asked, question: Detokenise) -> tuple[str, Timed]:
    """Ask for the text of tokens."""
    timed = await ask(services, exchange, asked, question)
    if not isinstance(timed.reply, PlainText):
        raise EngineError(_ODD)
    return timed.reply.text, timed


_ODD = "the model's process gave another kind of answer than was asked for"


def read_texts(value: object) -> tuple[str, ...]:
    """One text or several; InvalidRequest for anything else."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        texts = tuple(text for text in value if isinstance(text, str))
        if len(texts) == len(value):
            return texts
    raise InvalidRequest("invalid input type")
