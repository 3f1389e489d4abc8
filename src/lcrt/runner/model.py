"""The real model of a runner: weights, context, engine and chat layer, from a load request."""

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from lcrt.chat.render import JinjaTemplate, MissingTemplate, ModelTemplate, Template
from lcrt.core.model import LoadRequest, RunnerInfo
from lcrt.core.options import LoadOptions
from lcrt.errors import BusyError, LcrtError, OutOfMemory
from lcrt.native import runtime
from lcrt.native.adapter import Adapter
from lcrt.native.chat import Chat
from lcrt.native.engine import Engine
from lcrt.native.grammar import Grammar
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EngineParams, ModelInfo, ModelParams
from lcrt.runner.adapters import Adapters
from lcrt.runner.cache import cache_params, store_and_close, warn_of_trouble
from lcrt.runner.child import Loaded
from lcrt.runner.draft import load_draft, n_draft, wants_heads
from lcrt.runner.grammar import Grammars
from lcrt.runner.job import Job, Step
from lcrt.runner.pipeline import Pipeline
from lcrt.runner.sizes import context_length, halved, share

log = logging.getLogger("lcrt.runner")


class NativeEngine:
    """The C engine, as the loop wants it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.fileno = engine.fileno
        self.cancel = engine.cancel

    def submit(self, number: int, job: Job) -> bool:
        """See ``lcrt.runner.job.Engine``."""
        try:
            self._engine.submit(
                number,
                job.tokens,
                job.sampling,
                max_tokens=job.max_tokens,
                n_ctx=job.n_ctx,
                n_keep=job.n_keep,
                shift=job.shift,
                n_logprobs=job.n_logprobs,
                ignore_eog=job.ignore_eog,
                special=job.splitter is not None,
                stops=job.stops,
                grammar=cast("Grammar | None", job.grammar),
                adapters=cast("Sequence[tuple[Adapter, float]] | None", job.adapters),
            )
        except BusyError:
            return False
        return True

    def events(self) -> Sequence[Step]:
        """See ``lcrt.runner.job.Engine``."""
        return self._engine.events()

    def close(self) -> None:
        """See ``lcrt.runner.job.Engine``; what sequences hold is stored."""
        store_and_close(self._engine)


def load_model(request: LoadRequest, progress: Callable[[float], bool]) -> Loaded:
    """Load what the daemon asks for. Raises the ``LcrtError`` that says why it cannot be."""
    started = time.monotonic()
    runtime.set_log(log.log, logging.DEBUG if log.isEnabledFor(logging.DEBUG) else logging.WARNING)
    runtime.init()
    spec, options = request.model, request.options
    importing = threading.Thread(target=importlib.import_module, args=("lcrt.runner.questions",))
    importing.start()  # brings numpy, for which there is time while the weights are read
    try:
        params = msgspec.structs.replace(_model_params(options), heads=wants_heads(request))
        model = Model(spec.path, params, progress=progress)
    finally:
        importing.join()
    from lcrt.runner.questions import answerer_for, load_embedder

    adapters = Adapters(model, spec.adapters)
    if model.info.embedding or not model.info.has_decoder:
        return load_embedder(model, request, started, adapters)
    context, engine = _start(model, request, adapters)
    info = RunnerInfo(
        n_ctx=context.n_ctx,
        n_ctx_train=model.info.n_ctx_train,
        n_vocab=model.info.n_vocab,
        n_slots=context.n_parallel,
        size=engine.info.size,
        size_device=engine.info.size_device,
        load=time.monotonic() - started,
        pid=os.getpid(),
        can_fill=model.vocab.fill is not None,
    ).grown(adapters.own_size)
    template = ModelTemplate(_jinja_template(model))
    pipeline = Pipeline(model.vocab, template, context.n_ctx, Grammars(model), adapters)
    answerer = answerer_for(model, request, pipeline, adapters)
    return Loaded(NativeEngine(engine), model.vocab, pipeline, info, answerer, adapters.size)


def _start(model: Model, request: LoadRequest, adapters: Adapters) -> tuple[ContextParams, Engine]:
    """Make the engine; when memory is short, once more with half of what can be given up."""
    context = msgspec.structs.replace(_context_params(request, model.info), adapters=adapters.own)
    try:
        return context, _engine(model, context, request)
    except OutOfMemory as error:
        is_named = bool(request.options.num_ctx or request.context_length)
        smaller = halved(context.n_ctx, context.n_parallel, context.kv_cells_max, keep_ctx=is_named)
        if smaller is None:
            raise
        log.warning("%s: trying again with %d tokens for each of %d slots, %d in all", error, *smaller)
    n_ctx, n_slots, n_cells = smaller
    context = msgspec.structs.replace(context, n_ctx=n_ctx, n_parallel=n_slots, kv_cells_max=n_cells)
    return context, _engine(model, context, request)


def _engine(model: Model, context: ContextParams, request: LoadRequest) -> Engine:
    params = EngineParams(
        n_slots=context.n_parallel,
        latency_target=request.latency_target,
        wake_interval=request.stream_interval,
        cache=cache_params(request, context),
        n_draft=n_draft(request),
    )
    draft = load_draft(request, model.info, _model_params(request.options))
    engine = Engine(model, context, params, draft)
    warn_of_trouble(engine, request.cache.directory)
    return engine


def _model_params(options: LoadOptions) -> ModelParams:
    n_gpu_layers = -1 if options.num_gpu is None else options.num_gpu
    main_gpu = -1 if options.main_gpu is None else options.main_gpu
    return ModelParams(n_gpu_layers=n_gpu_layers, main_gpu=main_gpu, use_mmap=options.use_mmap)


def _context_params(request: LoadRequest, info: ModelInfo) -> ContextParams:
    options = request.options
    n_batch = max(options.num_batch or 0, 0)
    n_ctx = context_length(options.num_ctx, request.context_length, info.n_ctx_train)
    n_slots, n_cells = share(request.n_parallel, n_ctx, _cell_size(info))
    return ContextParams(
        n_ctx=n_ctx,
        n_parallel=n_slots,
        kv_cells_max=n_cells,
        n_batch=n_batch,
        n_ubatch=n_batch,
        n_threads=max(options.num_thread or 0, 0),
        kv_type=request.kv_cache_type,
        flash_attention=request.flash_attention,
        guess=info.n_heads_ahead > 0,
    )


def _cell_size(info: ModelInfo) -> int:
    """Bytes of keys and values of one position in half precision; about, where layers differ."""
    head_size = info.n_embd // info.n_head if info.n_head else 0
    return (info.n_layer + info.n_heads_ahead) * info.n_head_kv * head_size * 2 * 2


def _jinja_template(model: Model) -> Template | None:
    """A template that cannot be read does not stop a model from completing raw prompts."""
    if model.chat_template is None:
        return None
    try:
        return JinjaTemplate(Chat(model))
    except LcrtError as error:
        log.warning("the chat template cannot be used: %s", error)
        return MissingTemplate(f"the model's chat template cannot be used: {error.message}")
