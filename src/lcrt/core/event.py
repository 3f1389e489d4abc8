"""What becomes visible of a generation, in order: Start, any number of Text, one Finish."""

from typing import Literal

import msgspec

FinishReason = Literal["stop", "length", "tool_calls", "cancel", "error"]


class Logprob(msgspec.Struct, frozen=True, array_like=True):
    """A token as text and bytes with the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: bytes


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """The sampled token and the most likely ones, descending."""

    chosen: Logprob
    top: tuple[Logprob, ...] = ()


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """Counts in tokens, durations in seconds. ``n_cached`` of ``n_prompt`` were not computed again.

    ``n_sampled`` is ``n_generated`` with the token that ended the answer: what clients are told. ``n_host``
    of the cached ones came from host memory and ``n_disk`` from disk, the others were on the device.
    ``n_drafted`` tokens were guessed and computed with others, ``n_accepted`` of them were right.
    """

    n_prompt: int = 0
    n_cached: int = 0
    n_generated: int = 0
    n_shifts: int = 0
    queued: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0
    n_sampled: int = 0
    n_host: int = 0
    n_disk: int = 0
    n_drafted: int = 0
    n_accepted: int = 0


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An error that crosses a process: ``kind`` is the class name in lcrt.errors."""

    kind: str
    message: str


class Start(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """The prompt has been computed."""

    usage: Usage


class Text(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """Text that became visible in one step; whole characters."""

    text: str
    n_tokens: int = 1
    logprobs: tuple[TokenLogprob, ...] = ()
    thinking: str = ""


class Finish(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """The end, exactly once; may carry the last text. ``context`` holds prompt and answer tokens if wanted."""

    reason: FinishReason
    usage: Usage
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    thinking: str = ""
    context: tuple[int, ...] | None = None
    error: Failure | None = None


class Rendered(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """The answer to ``render_only``: the prompt, and nothing was computed."""

    prompt: str
    n_images: int = 0


Event = Start | Text | Finish | Rendered
