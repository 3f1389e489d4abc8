"""Fields and pieces that several OpenAI endpoints share."""

import secrets
import time
from collections.abc import Mapping

import msgspec

from lcrt.core.event import Usage as TokenUsage
from lcrt.errors import InvalidRequest
from lcrt.server.adapters import Adapter, Lora
from lcrt.server.exchange import JSON_PLAIN, SSE
from lcrt.server.openai.format import Formatted

EMPTY = "EOF"
"""The error for an empty body, in this dialect."""

FINGERPRINT = "fp_lcrt"
DONE = b"data: [DONE]\n\n"

_EFFORTS: Mapping[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
    "ultra": "max",
}
_EFFORT_CHOICES = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream carries beyond the text."""

    include_usage: bool | None = None


class Reasoning(msgspec.Struct, forbid_unknown_fields=True):
    """How much to think."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class Sampled(Formatted, kw_only=True, forbid_unknown_fields=True):
    """What chat and completions may both say about drawing tokens. Fields that nobody reads end the list."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: object = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    logit_bias: dict[str, float] | None = None
    ignore_eos: bool | None = None
    adapter: Adapter = None
    lora: Lora = None
    user: object = None
    debug_render_only: bool | None = msgspec.field(default=None, name="_debug_render_only")

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the counts."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def options(self) -> dict[str, object]:
        """The same as options of the native dialect; temperature and top_p are always set."""
        if self.n is not None and self.n > 1:
            raise InvalidRequest("n > 1 is not available, send the request several times")
        if not all(token.isascii() and token.isdecimal() for token in self.logit_bias or {}):
            raise InvalidRequest("logit_bias must map token numbers to numbers")
        given: dict[str, object] = {
            "num_predict": self.max_tokens,
            "seed": self.seed,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "frequency_penalty": self.frequency_penalty,
            "logit_bias": self.logit_bias,
            "ignore_eos": self.ignore_eos,
            "presence_penalty": self.presence_penalty,
        }
        return {name: value for name, value in given.items() if value is not None}


class WireCached(msgspec.Struct, frozen=True):
    """Of a prompt's tokens, those that were not computed again."""

    cached_tokens: int


class WirePredicted(msgspec.Struct, frozen=True):
    """Of the tokens that were guessed, those that became the answer, and the others."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class WireUsage(msgspec.Struct, frozen=True):
    """Counts of tokens; the details are there when there is something to tell."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: WireCached | msgspec.UnsetType = msgspec.UNSET
    completion_tokens_details: WirePredicted | msgspec.UnsetType = msgspec.UNSET


def usage(counted: TokenUsage) -> WireUsage:
    """Spell the counts."""
    total = counted.n_prompt + counted.n_sampled
    cached = WireCached(counted.n_cached) if counted.n_cached else msgspec.UNSET
    n_wrong = counted.n_drafted - counted.n_accepted
    predicted = WirePredicted(counted.n_accepted, n_wrong) if counted.n_drafted else msgspec.UNSET
    return WireUsage(counted.n_prompt, counted.n_sampled, total, cached, predicted)


def new_id(prefix: str) -> str:
    """Name one answer."""
    return f"{prefix}-{secrets.token_hex(8)}"


def now() -> int:
    """Seconds, as ``created`` has them."""
    return int(time.time())


def read_effort(effort: str | None) -> bool | str | None:
    """Translate how much to think."""
    if not effort:
        return None
    if effort not in _EFFORTS:
        raise InvalidRequest(f'invalid reasoning value: "{effort}" (must be {_EFFORT_CHOICES})')
    return _EFFORTS[effort]


def sse(payload: msgspec.Struct) -> bytes:
    """Spell one server-sent event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


class Typed:
    """Media types of this dialect's encoders."""

    content_type = JSON_PLAIN
    stream_type = SSE
