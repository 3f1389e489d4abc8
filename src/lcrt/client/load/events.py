"""What one line of a stream says: whether it shows text, and what it counts. Both dialects."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from lcrt.client.load.plan import Api
from lcrt.client.stream import SSE_DONE, sse_data


class Seen(NamedTuple):
    """One line. ``n_prompt`` and ``n_tokens`` are 0 until the server tells."""

    shows: bool = False
    n_prompt: int = 0
    n_tokens: int = 0
    error: str = ""
    end: bool = False


NOTHING = Seen()
_SHOWN = Seen(shows=True)
_DONE = Seen(end=True)


class _Message(msgspec.Struct, frozen=True):
    content: str = ""
    thinking: str = ""


_EMPTY = _Message()


class _Ollama(msgspec.Struct, frozen=True):
    response: str = ""
    thinking: str = ""
    message: _Message = _EMPTY
    done: bool = False
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: str = ""


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta | None = None
    text: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _OpenAi(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


_OLLAMA = msgspec.json.Decoder(_Ollama)
_OPENAI = msgspec.json.Decoder(_OpenAi)


def reader(api: Api) -> Callable[[bytes], Seen]:
    """Return what reads the lines of a dialect."""
    return _read_ollama if api == "ollama" else _read_openai


def _read_ollama(line: bytes) -> Seen:
    chunk = _OLLAMA.decode(line)
    shows = bool(chunk.response or chunk.message.content or chunk.thinking or chunk.message.thinking)
    if not chunk.done and not chunk.error:
        return _SHOWN if shows else NOTHING
    return Seen(shows, chunk.prompt_eval_count, chunk.eval_count, chunk.error, end=True)


def _read_openai(line: bytes) -> Seen:
    data = sse_data(line)
    if data is None:
        return NOTHING
    if data == SSE_DONE:
        return _DONE
    chunk = _OPENAI.decode(data)
    shows = any(map(_shows, chunk.choices))
    if chunk.error is not None:
        return Seen(error=bytes(chunk.error).decode("utf-8", "replace"), end=True)
    if chunk.usage is None:
        return _SHOWN if shows else NOTHING
    return Seen(shows, chunk.usage.prompt_tokens, chunk.usage.completion_tokens)


def _shows(choice: _Choice) -> bool:
    if choice.text:
        return True
    delta = choice.delta
    return delta is not None and bool(delta.content or delta.reasoning_content or delta.reasoning)
