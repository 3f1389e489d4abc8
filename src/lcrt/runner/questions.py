"""What answers questions over a real model: made at load, its embedders when they are first wanted."""

import os
import time
from collections.abc import Callable

from lcrt.chat.render import MissingTemplate
from lcrt.core.model import LoadRequest, RunnerInfo
from lcrt.core.question import Reply
from lcrt.errors import InvalidRequest
from lcrt.native.embed import Embedder
from lcrt.native.model import Model
from lcrt.native.values import EmbedderParams
from lcrt.runner.adapters import Adapters
from lcrt.runner.answer import Answerer, Setup
from lcrt.runner.child import Loaded
from lcrt.runner.embed import Batcher
from lcrt.runner.job import Job, Step
from lcrt.runner.pipeline import Pipeline
from lcrt.runner.sizes import context_length
from lcrt.runner.ticket import Limit

NO_TEXT = "this model makes embeddings and no text"
POOLING_RANK = "4"


class NoEngine:
    """In the place of an engine where a model cannot generate; the contract is in ``lcrt.runner.job.Engine``."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def fileno(self) -> int:
        """Never readable."""
        return self._reader

    def submit(self, number: int, job: Job) -> bool:  # noqa: ARG002 -- the names are the interface's
        """Refuse."""
        raise InvalidRequest(NO_TEXT)

    def cancel(self, number: int) -> None:
        """Nothing runs."""

    def events(self) -> tuple[Step, ...]:
        """Nothing happens."""
        return ()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._reader)
        os.close(self._writer)


def answerer_for(model: Model, request: LoadRequest, pipeline: Pipeline, adapters: Adapters) -> Answerer:
    """What answers questions about this model; costs nothing before vectors are wanted."""
    n_ctx_train = model.info.n_ctx_train
    wanted = request.options.num_ctx
    limit = Limit(context_length(wanted, request.context_length, n_ctx_train), n_ctx_train)
    setup = Setup(limit, pooling(model) == POOLING_RANK, model.meta("tokenizer.chat_template.rerank"))
    n_threads = max(request.options.num_thread or 0, 0)

    def make(n: int) -> Embedder:
        flash = request.flash_attention
        return Embedder(model, EmbedderParams(n_threads=n or n_threads, flash_attention=flash, adapters=adapters.own))

    def batcher(done: Callable[[int, Reply], None]) -> Batcher:
        return Batcher(make, done, lanes=model.info.embedding, own=adapters.own)

    return Answerer(model.vocab, setup, pipeline.prepare, batcher, adapters)


def pooling(model: Model) -> str | None:
    """How the model makes one vector of a text, as its file has it."""
    return model.meta(f"{model.meta('general.architecture')}.pooling_type")


def load_embedder(model: Model, request: LoadRequest, started: float, adapters: Adapters) -> Loaded:
    """A model that only makes embeddings: no engine, and one pass done, so that the first request finds it warm."""
    n_ctx = context_length(request.options.num_ctx, request.context_length, model.info.n_ctx_train)
    pipeline = Pipeline(model.vocab, MissingTemplate(NO_TEXT), n_ctx)
    answerer = answerer_for(model, request, pipeline, adapters)
    batcher = answerer.warm_up()
    info = RunnerInfo(
        n_ctx=n_ctx,
        n_ctx_train=model.info.n_ctx_train,
        n_vocab=model.info.n_vocab,
        n_slots=batcher.info.n_seq_max,
        size=model.info.size + batcher.size,
        size_device=0 if batcher.info.host else model.info.size + batcher.size,
        load=time.monotonic() - started,
        pid=os.getpid(),
    ).grown(adapters.own_size)
    return Loaded(NoEngine(), model.vocab, pipeline, info, answerer, adapters.size)
