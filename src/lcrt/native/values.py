"""Parameters and facts of the C objects, as values. Sizes in bytes, times in seconds, counts in tokens."""

from typing import Literal

import msgspec

KvLayout = Literal["auto", "unified", "split"]


class ModelParams(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is loaded.

    Negative ``n_gpu_layers``: all; negative ``main_gpu``: every device; ``use_mmap`` None: as the backend advises.
    """

    n_gpu_layers: int = -1
    main_gpu: int = -1
    use_mmap: bool | None = None
    vocab_only: bool = False
    check_tensors: bool = False


class ModelInfo(msgspec.Struct, frozen=True):
    """Facts about a loaded model; all but the vocabulary's are 0 when only that was loaded."""

    n_vocab: int
    n_ctx_train: int
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    n_swa: int
    n_params: int
    size: int
    has_decoder: bool
    has_encoder: bool
    recurrent: bool
    hybrid: bool
    embedding: bool


class ContextParams(msgspec.Struct, frozen=True, kw_only=True):
    """How a context is made; 0 is the default of each.

    ``n_ctx`` positions per sequence (0: as trained), ``n_parallel`` sequences, ``kv_cells_max`` cells
    in all (0: n_ctx * n_parallel). ``n_outputs`` rows of logits per decode (0: n_parallel). With
    ``swa_full`` sliding windows keep all positions, which takes memory and lets them trim and shift.
    """

    n_ctx: int = 0
    n_parallel: int = 1
    kv_cells_max: int = 0
    n_batch: int = 0
    n_ubatch: int = 0
    n_threads: int = 0
    n_threads_batch: int = 0
    n_outputs: int = 0
    layout: KvLayout = "auto"
    kv_type: str = "f16"
    flash_attention: bool | None = None
    swa_full: bool = False


class ContextInfo(msgspec.Struct, frozen=True):
    """What a context came out as. ``size`` counts weights, cells and buffers, ``size_device`` those on devices."""

    n_vocab: int
    n_ctx: int
    n_ctx_seq: int
    n_seq_max: int
    n_batch: int
    unified: bool
    consecutive: bool
    can_trim: bool
    can_shift: bool
    size: int
    size_device: int


class EngineParams(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine runs; 0 is the default of each. ``n_chunk``: prompt rows per step while others decode."""

    n_slots: int = 0
    n_chunk_min: int = 0
    n_chunk: int = 0
    latency_target: float = 0.1
    n_sampler_threads: int = 0
    max_queue: int = 0
    events_len: int = 0


class EngineStats(msgspec.Struct, frozen=True):
    """Counters since the engine started; times in seconds, of its own thread."""

    n_running: int
    n_waiting: int
    n_steps: int
    n_rows: int
    n_prefill_rows: int
    decode: float
    sample: float
    step: float
    n_moves: int


class Device(msgspec.Struct, frozen=True):
    """Something that computes."""

    name: str
    description: str
    memory_free: int
    memory_total: int
    gpu: bool
