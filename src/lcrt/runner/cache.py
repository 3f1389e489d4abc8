"""What a runner keeps of its prompts: where, under which names, and the writing of it at the end."""

import logging
import time

from lcrt.core.model import LoadRequest
from lcrt.native import runtime
from lcrt.native.engine import Engine
from lcrt.native.values import CacheParams, ContextParams
from lcrt.store.states import folder_name

log = logging.getLogger("lcrt.runner")

STORE_TIMEOUT = 5.0
"""Seconds that writing may take at the end; the daemon waits longer before it ends the process."""


def cache_params(request: LoadRequest, context: ContextParams) -> CacheParams:
    """Name what states depend on: another model, other sizes or another engine must not find them."""
    budget = request.cache
    setup = (
        f"n_ctx={context.n_ctx} n_parallel={context.n_parallel} cells={context.kv_cells_max} layout={context.layout} "
        f"kv={context.kv_type} flash={context.flash_attention} swa_full={context.swa_full}"
    )
    if context.guess:
        setup += " guess"
    return CacheParams(
        ram=budget.ram,
        disk=budget.disk,
        directory=budget.directory,
        version=f"states 1, llama.cpp {runtime.backend_version()}",
        model=folder_name(request.model.path, [(path, 1.0) for path in request.model.adapters]),
        setup=setup,
    )


def warn_of_trouble(engine: Engine, directory: str) -> None:
    """Say why nothing will be kept on disk, if so."""
    trouble = engine.cache_stats().trouble
    if trouble:
        log.warning("no prompts are kept on disk, `%s` cannot be used: %s", directory, trouble)


def store_and_close(engine: Engine) -> None:
    """Write what the engine holds, within a bounded time, and close it."""
    started = time.monotonic()
    n_written, n_left = engine.store(STORE_TIMEOUT)
    if n_written or n_left:
        log.info(
            "states stored: %d, in %.2f s%s",
            n_written,
            time.monotonic() - started,
            f", no time for {n_left} more" if n_left else "",
        )
