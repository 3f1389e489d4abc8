"""What is decided about a request before the engine sees it."""

from collections.abc import Sequence

import pytest

from lcrt.chat.parsers.tags import TagSplitter
from lcrt.chat.render import Conversation, PlainTemplate, Prompt
from lcrt.core.event import Rendered
from lcrt.core.format import Format
from lcrt.core.message import Message
from lcrt.core.options import Options, Sampling
from lcrt.core.request import InferenceRequest
from lcrt.errors import InvalidRequest, NotSupported
from lcrt.runner.job import Bound, Job
from lcrt.runner.pipeline import TOO_LONG_TEXT, Pipeline
from tests.runner.fake_model import LetterVocab

N_CTX = 32


def prepare(request: InferenceRequest, *, adds_bos: bool = False) -> Job:
    vocab = LetterVocab()
    vocab.adds_bos = adds_bos
    job = Pipeline(vocab, PlainTemplate(), N_CTX).prepare(request)
    assert isinstance(job, Job)
    return job


def text(job: Job) -> str:
    return "".join(map(chr, job.tokens))


def test_messages_are_rendered_and_a_prompt_is_taken_as_it_is() -> None:
    assert text(prepare(InferenceRequest(messages=(Message("user", "hi"),)))) == "hi"
    assert text(prepare(InferenceRequest(prompt="<raw>"))) == "<raw>"


def test_an_answer_may_be_told_not_to_end_by_itself() -> None:
    assert not prepare(InferenceRequest(prompt="a")).ignore_eog
    assert prepare(InferenceRequest(prompt="a", options=Options(ignore_eos=True))).ignore_eog


def test_context_is_text_in_front() -> None:
    request = InferenceRequest(messages=(Message("user", "hi"),), context=tuple(map(ord, "so ")))
    assert text(prepare(request)) == "so hi"


def test_old_turns_are_dropped_and_the_last_one_stays() -> None:
    messages = (Message("user", "x" * 30), Message("assistant", "y"), Message("user", "now"))
    assert text(prepare(InferenceRequest(messages=messages))) == "y\nnow"


def test_render_only_shows_what_would_be_computed() -> None:
    messages = (Message("user", "x" * 30), Message("user", "now"))
    request = InferenceRequest(messages=messages, render_only=True)
    assert Pipeline(LetterVocab(), PlainTemplate(), N_CTX).prepare(request) == Rendered("now")


@pytest.mark.parametrize(
    ("n_keep", "bos", "expected"), [(4, False, 18), (3, True, 18), (-1, False, 31), (0, False, 16)]
)
def test_a_long_prompt_is_cut_in_the_middle(n_keep: int, bos: bool, expected: int) -> None:
    job = prepare(InferenceRequest(prompt="a" * 100, options=Options(num_keep=n_keep)), adds_bos=bos)
    assert len(job.tokens) == expected


def test_the_context_to_return_is_the_whole_prompt() -> None:
    job = prepare(InferenceRequest(prompt="a" * 100, want_context=True))
    assert job.prompt is not None
    assert len(job.prompt) == 100


@pytest.mark.parametrize(("shift", "truncate"), [(False, True), (False, False), (True, False)])
def test_a_long_prompt_that_may_not_be_cut_is_refused(shift: bool, truncate: bool) -> None:
    request = InferenceRequest(prompt="a" * 32, shift=shift, truncate=truncate)
    with pytest.raises(InvalidRequest) as caught:
        prepare(request)
    expected = TOO_LONG_TEXT if truncate else "request (32 tokens) exceeds the available context size (32 tokens)"
    assert caught.value.message.startswith(expected)


def test_one_token_less_than_the_context_is_not_long() -> None:
    assert len(prepare(InferenceRequest(prompt="a" * 31, shift=False)).tokens) == 31


@pytest.mark.parametrize(("num_predict", "n"), [(-1, 320), (-2, 320), (0, 320), (7, 7), (320, 320), (5000, 320)])
def test_the_answer_is_at_most_ten_contexts(num_predict: int, n: int) -> None:
    assert prepare(InferenceRequest(prompt="a", options=Options(num_predict=num_predict))).max_tokens == n


@pytest.mark.parametrize(("num_keep", "bos", "n"), [(4, False, 4), (4, True, 5), (0, True, 1), (-1, True, -1)])
def test_bos_is_kept_on_top(num_keep: int, bos: bool, n: int) -> None:
    request = InferenceRequest(prompt="a", options=Options(num_keep=num_keep))
    assert prepare(request, adds_bos=bos).n_keep == n


@pytest.mark.parametrize(("seed", "expected"), [(0, 0), (42, 42), ((1 << 64) - 1, (1 << 64) - 1), (-2, (1 << 64) - 2)])
def test_any_seed_becomes_64_bits(seed: int, expected: int) -> None:
    request = InferenceRequest(prompt="a", options=Options(sampling=Sampling(seed=seed)))
    assert prepare(request).sampling.seed == expected


@pytest.mark.parametrize("seed", [None, -1])
def test_no_seed_is_another_one_each_time(seed: int | None) -> None:
    request = InferenceRequest(prompt="a", options=Options(sampling=Sampling(seed=seed)))
    seeds = {prepare(request).sampling.seed for _ in range(4)}
    assert len(seeds) == 4
    assert None not in seeds


@pytest.mark.parametrize(("last_n", "n"), [(-1, N_CTX), (0, 0), (64, 64)])
def test_penalties_over_everything_are_over_the_context(last_n: int, n: int) -> None:
    request = InferenceRequest(prompt="a", options=Options(sampling=Sampling(repeat_last_n=last_n)))
    assert prepare(request).sampling.repeat_last_n == n


@pytest.mark.parametrize(
    "request_",
    [
        InferenceRequest(messages=(Message("user", "", images=(b"x",)),)),
        InferenceRequest(prompt=""),
    ],
)
def test_what_cannot_be_done_is_refused(request_: InferenceRequest) -> None:
    with pytest.raises(InvalidRequest):
        prepare(request_)


class Compiled:
    """Stands for a grammar of what was asked for."""

    def compile(self, wanted: Format, prompt: Prompt, *, think: bool, tools: Sequence[str]) -> Bound:
        return Bound((wanted, prompt.text, think, tuple(tools)), TagSplitter("(", ")", is_open=True))


def compiled(request: InferenceRequest) -> Job:
    job = Pipeline(LetterVocab(), PlainTemplate(), N_CTX, Compiled()).prepare(request)
    assert isinstance(job, Job)
    return job


def test_a_format_becomes_the_grammar_of_the_job() -> None:
    job = compiled(InferenceRequest(prompt="a", format=Format("json"), think=True))
    assert job.grammar == (Format("json"), "a", True, ())
    assert isinstance(job.splitter, TagSplitter)


def test_tools_are_told_to_the_grammar_by_their_names() -> None:
    tools = b'[{"type":"function","function":{"name":"get","parameters":{}}},{"type":"other"}]'
    job = compiled(InferenceRequest(prompt="a", format=Format("json"), tools=tools))
    assert job.grammar == (Format("json"), "a", False, ("get",))
    with pytest.raises(InvalidRequest, match="tools cannot be read"):
        compiled(InferenceRequest(prompt="a", format=Format("json"), tools=b"[1]"))


class Thinking:
    """A template with tags, which refuses conversations without a system message when told so."""

    refuses = False

    def render(self, conversation: Conversation, /) -> Prompt:
        if self.refuses:
            raise InvalidRequest("no system message")
        return Prompt("rendered", ("###",), "<think>", "</think>")


@pytest.mark.parametrize(("refuses", "tag"), [(False, "<think>"), (True, "")])
def test_a_raw_prompt_is_bound_under_the_tags_of_its_model(refuses: bool, tag: str) -> None:
    seen: list[Prompt] = []

    class Noting(Compiled):
        def compile(self, wanted: Format, prompt: Prompt, *, think: bool, tools: Sequence[str]) -> Bound:
            seen.append(prompt)
            return Bound(None)

    template = Thinking()
    template.refuses = refuses
    request = InferenceRequest(prompt="a<think>", format=Format("json"))
    job = Pipeline(LetterVocab(), template, N_CTX, Noting()).prepare(request)
    assert isinstance(job, Job)
    assert job.stops == ()
    assert [(prompt.text, prompt.think_start) for prompt in seen] == [("a<think>", tag)]


def test_an_answer_without_a_format_is_free() -> None:
    job = compiled(InferenceRequest(prompt="a"))
    assert (job.grammar, job.splitter) == (None, None)


def test_formats_are_refused_where_no_grammar_can_be_made() -> None:
    with pytest.raises(NotSupported):
        prepare(InferenceRequest(prompt="a", format=Format("json")))


def test_a_gap_is_told_by_the_tokens_before_its_three_parts() -> None:
    job = prepare(InferenceRequest(prompt="ab", suffix="yz"))
    assert "".join(map(chr, job.tokens)) == "\ue000ab\ue001yz\ue002"


def test_a_gap_without_the_tokens_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LetterVocab, "fill", None)
    with pytest.raises(InvalidRequest, match="does not support insert"):
        prepare(InferenceRequest(prompt="ab", suffix="yz"))
