"""Options of a request after model and request have been merged."""

import msgspec


class LoadOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a runner is started with; another value needs another load. None: chosen at load.

    ``draft_num_predict`` tokens at most are guessed at once, 0: none.
    """

    num_ctx: int | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    use_mmap: bool | None = None
    num_thread: int | None = None
    draft_num_predict: int | None = None


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the next token is drawn; ``seed`` None means random, temperature 0 greedy."""

    seed: int | None = None
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a request may set; counts are tokens, negative ``num_predict`` means no limit.

    ``ignore_eos`` generates on through tokens that end an answer, for measurements.
    """

    load: LoadOptions = LoadOptions()
    sampling: Sampling = Sampling()
    num_predict: int = -1
    num_keep: int = 4
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
