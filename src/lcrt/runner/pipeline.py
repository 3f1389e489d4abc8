"""From a request to a job: the only file that knows the order of the stages.

fit -> render -> tokenise -> cut -> grammar -> job. Any thread; nothing here waits for the engine.
"""

import secrets
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Protocol

import msgspec

from lcrt.chat.fit import cut, fit
from lcrt.chat.render import Conversation, Prompt, Template
from lcrt.core.event import Rendered
from lcrt.core.format import Format
from lcrt.core.message import Message
from lcrt.core.options import Options, Sampling
from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest, NotSupported
from lcrt.runner.job import Bound, Job, Vocab

TOO_LONG_TEXT = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, "
    "adjust the context length in settings, or use a model with a longer context length"
)
NO_MEDIA_TEXT = "Multimodal data provided, but model does not support multimodal requests."
NO_FORMAT_TEXT = "structured output (`format`) is not available for this model"
NO_ADAPTERS_TEXT = "this model takes no adapters"
NO_FILL_TEXT = "this model does not support insert"
CONTEXTS_MAX = 10
SEED_MASK = (1 << 64) - 1


class Compiler(Protocol):
    """Makes grammars of formats. Any thread."""

    def compile(self, wanted: Format, prompt: Prompt, *, think: bool, tools: Sequence[str]) -> Bound:
        """What binds one answer to this prompt; ``tools`` may be called instead. Raises ``InvalidGrammar``."""


class AdapterSource(Protocol):
    """Loads adapters, or has them already. Any thread."""

    def take(self, wanted: Sequence[tuple[str, float]]) -> Sequence[tuple[object, float]]:
        """The adapters of these files, with their scales. Raises ``InvalidRequest`` when one does not fit."""


class _Function(msgspec.Struct):
    name: str


class _Tool(msgspec.Struct):
    function: _Function | None = None


class Pipeline:
    """The stages before the engine, for one loaded model with ``n_ctx`` positions per request."""

    def __init__(
        self,
        vocab: Vocab,
        template: Template,
        n_ctx: int,
        grammars: Compiler | None = None,
        adapters: AdapterSource | None = None,
    ) -> None:
        self._vocab = vocab
        self._template = template
        self._n_ctx = n_ctx
        self._grammars = grammars
        self._adapters = adapters

    def prepare(self, request: InferenceRequest) -> Job | Rendered:
        """Decide everything about a request. Raises the ``LcrtError`` that says why it cannot be answered."""
        if request.format is not None and self._grammars is None:
            raise NotSupported(NO_FORMAT_TEXT)
        if any(message.images for message in request.messages):
            raise InvalidRequest(NO_MEDIA_TEXT)
        if request.adapters is not None and self._adapters is None:
            raise InvalidRequest(NO_ADAPTERS_TEXT)
        prompt, tokens = self._prompt(request)
        if request.render_only:
            return Rendered(prompt.text)
        return self._job(request, prompt, tokens)

    def _prompt(self, request: InferenceRequest) -> tuple[Prompt, Sequence[int]]:
        if request.suffix:
            return self._gap(request.prompt or "", request.suffix)
        if request.prompt is not None:
            prompt, tokens = self._raw(request, request.prompt), None
        else:
            prompt, tokens = self._conversation(request)
        if request.context:
            prompt = msgspec.structs.replace(prompt, text=self._vocab.text(request.context) + prompt.text)
            tokens = None
        return prompt, self._vocab.tokenise(prompt.text) if tokens is None else tokens

    def _raw(self, request: InferenceRequest, text: str) -> Prompt:
        """A prompt as it is. Whether it has begun to think matters only where the answer is bound."""
        if request.format is None:
            return Prompt(text)
        try:
            rendered = self._template.render(Conversation((Message("user"),), go_template=request.template))
        except InvalidRequest:
            return Prompt(text)
        return msgspec.structs.replace(rendered, text=text, stops=())

    def _gap(self, before: str, behind: str) -> tuple[Prompt, Sequence[int]]:
        """A text with a gap: what is generated stands between both parts, which name no control tokens."""
        if self._vocab.fill is None:
            raise InvalidRequest(NO_FILL_TEXT)
        marks = [array("i", [token]) for token in self._vocab.fill]
        texts = [self._vocab.tokenise(text, add_special=False, parse_special=False) for text in (before, behind)]
        tokens = self._vocab.tokenise("")[: self._vocab.adds_bos]
        parts = chain(tokens, marks[0], texts[0], marks[1], texts[1], marks[2])
        tokens = array("i", parts)
        return Prompt(self._vocab.text(tokens)), tokens

    def _conversation(self, request: InferenceRequest) -> tuple[Prompt, Sequence[int] | None]:
        """Render what fits; the tokens come along when the last measurement already made them."""
        messages: tuple[Message, ...] = request.messages
        measured: tuple[Sequence[Message], Prompt, Sequence[int]] | None = None

        def measure(candidate: Sequence[Message]) -> int | None:
            nonlocal measured
            try:
                prompt = self._render(request, candidate)
            except InvalidRequest:
                return None
            measured = candidate, prompt, self._vocab.tokenise(prompt.text)
            return len(measured[2])

        if request.truncate and len(messages) > 1:
            messages = fit(messages, self._n_ctx, measure)
            if measured is not None and tuple(measured[0]) == messages:
                return measured[1], measured[2]
        return self._render(request, messages), None

    def _render(self, request: InferenceRequest, messages: Sequence[Message]) -> Prompt:
        return self._template.render(Conversation(messages, request.tools, bool(request.think), request.template))

    def _job(self, request: InferenceRequest, prompt: Prompt, tokens: Sequence[int]) -> Job:
        options = request.options
        if len(tokens) == 0:
            raise InvalidRequest("the prompt has no tokens")
        n_keep = options.num_keep + self._vocab.adds_bos if options.num_keep >= 0 else -1
        bound = self._bound(request, prompt)
        return Job(
            tokens=self._shorten(request, tokens, n_keep),
            max_tokens=_max_tokens(options, self._n_ctx),
            n_ctx=self._n_ctx,
            n_keep=n_keep,
            shift=request.shift,
            sampling=_sampling(options.sampling, self._n_ctx),
            stops=_stops((*options.stop, *prompt.stops), bound),
            n_logprobs=request.n_logprobs,
            ignore_eog=options.ignore_eos,
            prompt=tokens if request.want_context else None,
            grammar=bound.grammar,
            splitter=bound.splitter,
            adapters=self._take_adapters(request),
        )

    def _bound(self, request: InferenceRequest, prompt: Prompt) -> Bound:
        if request.format is None or self._grammars is None:
            return Bound(None)
        tools = _tool_names(request.tools)
        return self._grammars.compile(request.format, prompt, think=bool(request.think), tools=tools)

    def _take_adapters(self, request: InferenceRequest) -> Sequence[tuple[object, float]] | None:
        if request.adapters is None or self._adapters is None:
            return None
        return self._adapters.take(request.adapters)

    def _shorten(self, request: InferenceRequest, tokens: Sequence[int], n_keep: int) -> Sequence[int]:
        n_tokens = len(tokens)
        if n_tokens < self._n_ctx:
            return tokens
        if not request.truncate:
            raise InvalidRequest(
                f"request ({n_tokens} tokens) exceeds the available context size ({self._n_ctx} tokens), "
                "try increasing it"
            )
        if not request.shift:
            raise InvalidRequest(TOO_LONG_TEXT)
        front, back = cut(tokens, self._n_ctx, n_keep)
        return array("i", chain(front, back))


def _stops(stops: Sequence[str], bound: Bound) -> tuple[str, ...]:
    """Files of models name marks of their form as stops; shown to a splitter they would end the first thought."""
    return tuple(stop for stop in stops if bound.splitter is None or stop not in bound.splitter.marks)


def _tool_names(tools: bytes | None) -> list[str]:
    """The names of the functions among the tools. Raises ``InvalidRequest`` for what is no list of tools."""
    try:
        given = msgspec.json.decode(tools or b"[]", type=list[_Tool])
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the tools cannot be read: {error}") from error
    return [tool.function.name for tool in given if tool.function is not None]


def _max_tokens(options: Options, n_ctx: int) -> int:
    """Ten contexts is the most; zero and negative numbers mean that."""
    most = CONTEXTS_MAX * n_ctx
    return min(options.num_predict, most) if options.num_predict > 0 else most


def _sampling(sampling: Sampling, n_ctx: int) -> Sampling:
    """The same with a seed, and with the window of the penalties in tokens."""
    seed = sampling.seed
    if seed is None or seed == -1:
        seed = secrets.randbits(64)
    return msgspec.structs.replace(
        sampling,
        seed=seed & SEED_MASK,
        repeat_last_n=n_ctx if sampling.repeat_last_n < 0 else sampling.repeat_last_n,
    )
