"""Parameters and facts of the C objects, as values. Sizes in bytes, times in seconds, counts in tokens."""

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from lcrt.native.adapter import Adapter

KvLayout = Literal["auto", "unified", "split"]
Adapters: TypeAlias = "tuple[tuple[str | Adapter, float], ...]"


class ModelParams(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is loaded.

    Negative ``n_gpu_layers``: all; negative ``main_gpu``: every device; ``use_mmap`` None: as the backend advises.
    ``heads``: also the layers that guess tokens behind the next one, where the file has them (MTP).
    """

    n_gpu_layers: int = -1
    main_gpu: int = -1
    use_mmap: bool | None = None
    vocab_only: bool = False
    check_tensors: bool = False
    heads: bool = False


class ModelInfo(msgspec.Struct, frozen=True):
    """Facts about a loaded model; all but the vocabulary's are 0 when only that was loaded.

    ``n_heads_ahead``: layers that guess tokens behind the next one, if they were loaded.
    """

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
    n_heads_ahead: int


class ContextParams(msgspec.Struct, frozen=True, kw_only=True):
    """How a context is made; 0 is the default of each.

    ``n_ctx`` positions per sequence (0: as trained), ``n_parallel`` sequences, ``kv_cells_max`` cells
    in all (0: n_ctx * n_parallel). ``n_outputs`` rows of logits per decode (0: n_parallel). With
    ``swa_full`` sliding windows keep all positions, which takes memory and lets them trim and shift.
    ``adapters``: changes of the weights, loaded or as files, and how strongly each is applied.
    ``guess`` uses the layers that guess ahead, if the model was loaded with any; an ``Engine`` that may guess does.
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
    adapters: Adapters = ()
    guess: bool = False


class ContextInfo(msgspec.Struct, frozen=True):
    """What a context came out as. ``size`` counts weights, cells and buffers, ``size_device`` those on devices.

    ``can_guess``: the model's own layers guess what comes behind the next token.
    """

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
    can_guess: bool = False


class EmbedderParams(msgspec.Struct, frozen=True, kw_only=True):
    """How an embedder is made; 0 is the default of each. ``n_ctx``: tokens of the longest text.

    ``adapters`` are as those of a context.
    """

    n_ctx: int = 0
    n_batch: int = 0
    n_threads: int = 0
    flash_attention: bool | None = None
    adapters: Adapters = ()


class EmbedderInfo(msgspec.Struct, frozen=True):
    """What an embedder came out as.

    ``n_out`` numbers for each text, which are scores with ``rank``. A pass takes ``n_seq_max`` texts with
    ``n_batch`` tokens in all, or one longer text. ``host``: no other device computes.
    """

    n_out: int
    n_ctx: int
    n_batch: int
    n_seq_max: int
    n_threads: int
    rank: bool
    host: bool


class CacheParams(msgspec.Struct, frozen=True, kw_only=True):
    """Where the content of sequences goes that the backend has no room for; sizes in bytes, 0: nowhere.

    ``ram`` for host memory, ``disk`` for all files below ``directory``, which must be the user's own. Files are
    found again by an engine with the same three texts: ``version`` of the program and its backend, ``model`` for
    weights and adapters (also the name of a folder), ``setup`` for types and sizes of the cache.
    """

    ram: int = 0
    disk: int = 0
    directory: str = ""
    version: str = ""
    model: str = ""
    setup: str = ""


class CacheHits(msgspec.Struct, frozen=True):
    """Jobs that found the beginning of their prompt in one tier, and its tokens."""

    n_jobs: int = 0
    n_tokens: int = 0


class CacheStats(msgspec.Struct, frozen=True):
    """Where prompts were found since the start, and what is stored now; sizes in bytes.

    ``trouble`` says why no files are written although they are asked for.
    """

    device: CacheHits
    host: CacheHits
    disk: CacheHits
    n_checkpoints: int
    ram: int
    files: int
    trouble: str = ""


class EngineParams(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine runs; 0 is the default of each but ``wake_interval``.

    ``n_chunk``: prompt rows per step while others decode. Text makes the descriptor readable at most once
    per ``wake_interval``; 0: in every step. Times in seconds. ``n_draft`` tokens at most are guessed for each
    stream and pass, up to 32, where that promises to pay, or always when it is negative: they change when tokens
    come, never which.
    """

    n_slots: int = 0
    n_chunk_min: int = 0
    n_chunk: int = 0
    latency_target: float = 0.1
    wake_interval: float = 0.016
    n_sampler_threads: int = 0
    max_queue: int = 0
    events_len: int = 0
    cache: CacheParams = CacheParams()
    n_draft: int = 0


class EngineStats(msgspec.Struct, frozen=True):
    """Counters since the engine started; times in seconds, of its own thread.

    Masks computed on other threads took ``mask`` in all, and ``n_mask_waits`` steps waited
    ``mask_wait`` for them. ``n_forced`` tokens came without sampling. Of ``n_prompt`` prompt tokens
    ``n_cached`` were found: in a slot that the job took over (``n_taken`` jobs) or that kept them
    (``n_shared``); ``n_joined`` jobs waited for another one to compute them. Of ``n_drafted`` guessed tokens
    ``n_accepted`` were right.
    """

    n_running: int
    n_waiting: int
    n_steps: int
    n_rows: int
    n_prefill_rows: int
    decode: float
    sample: float
    step: float
    n_moves: int
    n_masks: int = 0
    n_mask_waits: int = 0
    mask: float = 0.0
    mask_wait: float = 0.0
    n_forced: int = 0
    n_prompt: int = 0
    n_cached: int = 0
    n_taken: int = 0
    n_shared: int = 0
    n_joined: int = 0
    n_drafted: int = 0
    n_accepted: int = 0


class GuideStats(msgspec.Struct, frozen=True):
    """Texts compiled, grammars made of a remembered text, texts remembered now."""

    n_compiled: int
    n_copied: int
    n_kept: int


class Device(msgspec.Struct, frozen=True):
    """Something that computes."""

    name: str
    description: str
    memory_free: int
    memory_total: int
    gpu: bool
