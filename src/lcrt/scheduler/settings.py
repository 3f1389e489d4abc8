"""What the scheduler may be told."""

import msgspec

from lcrt.core.model import CacheBudget, Speculation


class SchedulerSettings(msgspec.Struct, frozen=True):
    """Times in seconds. ``keep_alive`` None is forever, ``load_timeout`` None waits for ever.

    ``max_loaded_models`` 0 means three; ``num_parallel`` 0 and ``context_length`` 0 are chosen at load.
    """

    keep_alive: float | None = 300.0
    max_loaded_models: int = 0
    max_queue: int = 512
    load_timeout: float | None = 300.0
    num_parallel: int = 0
    context_length: int = 0
    flash_attention: bool | None = None
    kv_cache_type: str = "f16"
    latency_target: float = 0.1
    stream_interval: float = 0.016
    cache: CacheBudget = CacheBudget()
    speculation: Speculation = "off"
