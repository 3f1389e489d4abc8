"""Questions through a fake embedder, and through the loop of a runner."""

import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from lcrt.core.event import Rendered
from lcrt.core.question import (
    Detokenise,
    Embed,
    PlainText,
    Question,
    Rank,
    Refused,
    Reply,
    Scores,
    Tokenise,
    Tokens,
    Vectors,
)
from lcrt.core.request import Applied, InferenceRequest
from lcrt.errors import InvalidRequest, OutOfMemory
from lcrt.runner.adapters import Pairs
from lcrt.runner.answer import Answerer, Setup
from lcrt.runner.embed import Batcher
from lcrt.runner.ticket import Limit
from tests.runner.fake_embedder import CharVocab, SumEmbedder, adapters_of


class Named:
    """Adapters of which one is not there and one takes its time; the model has one of its own."""

    own = adapters_of(0.25)

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()

    def take(self, wanted: Sequence[tuple[str, float]]) -> Pairs:
        if any(path == "slow" for path, _ in wanted):
            self.entered.release()
            assert self.go.wait(10)
        if any(path == "absent" for path, _ in wanted):
            raise InvalidRequest("an adapter cannot be applied to this model")
        return adapters_of(*(scale for _, scale in wanted))


class Asking:
    """An answerer, and how often what computes vectors was made."""

    def __init__(self, *, is_ranker: bool = False, broken: bool = False) -> None:
        self.n_made = 0
        self.go = threading.Event()
        self.go.set()
        self.embedder = SumEmbedder(0, [])
        self.named = Named()

        def batcher(done: Callable[[int, Reply], None]) -> Batcher:
            self.n_made += 1
            if broken:
                raise OutOfMemory("no room for embeddings")
            return Batcher(lambda _: self.embedder, done, lanes=False, own=Named.own)

        def render(request: InferenceRequest) -> Rendered:
            assert self.go.wait(10)
            return Rendered("".join(f"<{message.content}>" for message in request.messages))

        self.answerer = Answerer(CharVocab(), Setup(Limit(100, 100), is_ranker), render, batcher, self.named)

    def ask(self, *questions: Question) -> list[Reply]:
        for number, question in enumerate(questions):
            self.answerer.ask(number, question)
        replies: dict[int, Reply] = {}
        while not replies.keys() >= set(range(len(questions))):
            ready, _, _ = select.select([self.answerer], [], [], 10)
            assert ready
            replies |= dict(self.answerer.take())
        return [replies[number] for number in range(len(questions))]


@pytest.fixture
def make() -> Iterator[Callable[..., Asking]]:
    made: list[Asking] = []

    def one(**options: bool) -> Asking:
        made.append(Asking(**options))
        return made[-1]

    yield one
    for asking in made:
        asking.answerer.close()


Make = Callable[..., Asking]


def test_tokens_need_no_embedder(make: Make) -> None:
    asking = make()
    replies = asking.ask(
        Tokenise("ab"), Tokenise("ä", add_special=False, want_pieces=True), Detokenise((104, 105)), Tokenise("")
    )
    assert replies == [
        Tokens([1, 97, 98, 2], []),
        Tokens([228], ["ä".encode()]),
        PlainText("hi"),
        Tokens([1, 2], []),
    ]
    assert asking.n_made == 0


def test_a_conversation_is_rendered_before_it_is_cut_into_tokens(make: Make) -> None:
    from lcrt.core.message import Message

    [reply] = make().ask(Tokenise(request=InferenceRequest(messages=(Message("user", "a"),)), add_special=False))
    assert reply == Tokens([ord("<"), ord("a"), ord(">")], [])


def test_the_embedder_is_made_once_by_the_first_question_that_needs_it(make: Make) -> None:
    asking = make()
    replies = asking.ask(Embed(("a",)), Embed(("b", "c")), Embed(()))
    assert [len(reply.rows) for reply in replies if isinstance(reply, Vectors)] == [1, 2, 0]
    assert asking.n_made == 1


def test_an_embedder_that_cannot_be_made_refuses_and_is_tried_again(make: Make) -> None:
    asking = make(broken=True)
    for reply in asking.ask(Embed(("a",)), Embed(("b",))):
        assert isinstance(reply, Refused)
        assert (reply.error.kind, reply.error.message) == ("OutOfMemory", "no room for embeddings")
    assert asking.n_made == 2


@pytest.mark.parametrize(
    ("is_ranker", "question", "text"),
    [
        (False, Rank("q", ("d",)), "this model is no reranker"),
        (True, Embed(("a",)), "this model is a reranker, which gives scores and no embeddings"),
        (True, Rank("q", ("d",)), None),
        (False, Rank("q", ("d",), by_vectors=True), None),
    ],
)
def test_a_model_answers_what_it_was_made_for(make: Make, is_ranker: bool, question: Question, text: str) -> None:
    [reply] = make(is_ranker=is_ranker).ask(question)
    if text is None:
        assert isinstance(reply, Scores)
    else:
        assert isinstance(reply, Refused)
        assert (reply.error.kind, reply.error.message) == ("InvalidRequest", text)


@pytest.mark.parametrize("by_vectors", [True, False])
def test_questions_name_adapters_or_have_the_models_own(make: Make, by_vectors: bool) -> None:
    asking = make(is_ranker=not by_vectors)
    asking.embedder.adapters = Named.own

    def scores(adapters: Applied) -> list[float]:
        [reply] = asking.ask(Rank("q", ("d",), by_vectors, adapters))
        assert isinstance(reply, Scores)
        return reply.scores

    plain = scores(None)
    assert scores((("a", 0.25),)) == plain
    assert scores((("a", 0.5), ("b", 64.0))) != plain != scores(())
    assert scores(None) == plain


def test_an_adapter_that_does_not_fit_refuses_its_own_question(make: Make) -> None:
    asking = make()
    wrong, right = asking.ask(Embed(("a",), adapters=(("absent", 1.0),)), Embed(("a",)))
    assert isinstance(wrong, Refused)
    assert wrong.error.kind == "InvalidRequest"
    assert isinstance(right, Vectors)


def test_a_cancelled_question_is_not_answered(make: Make) -> None:
    asking = make()
    asking.ask(Embed(("warm",)))
    asking.embedder.go.clear()
    asking.embedder.entered = type(asking.embedder.entered)(0)
    asking.answerer.ask(5, Embed(("a",)))
    asking.embedder.entered.acquire()
    asking.answerer.cancel(5)
    asking.embedder.go.set()
    assert asking.ask(Tokenise("x")) == [Tokens([1, 120, 2], [])]


def test_a_question_that_is_cancelled_before_its_turn_costs_nothing(make: Make) -> None:
    asking = make()
    asking.ask(Embed(("warm",)))
    asking.embedder.passes.clear()
    asking.go.clear()
    asking.answerer.ask(5, Tokenise(request=InferenceRequest()))
    asking.answerer.ask(6, Embed(("gone",), adapters=(("a", 1.0),)))
    asking.answerer.cancel(6)
    asking.go.set()
    asking.ask(Embed(("a",), adapters=(("a", 1.0),)), Tokenise("x"))
    assert asking.embedder.passes == [[3]]


def test_a_question_that_is_cancelled_while_its_adapters_come_costs_nothing(make: Make) -> None:
    asking = make()
    asking.ask(Embed(("warm",)))
    asking.embedder.passes.clear()
    asking.answerer.ask(5, Embed(("gone",), adapters=(("slow", 1.0),)))
    asking.named.entered.acquire()
    asking.answerer.cancel(5)
    asking.named.go.set()
    asking.ask(Embed(("a",), adapters=(("a", 1.0),)))
    assert asking.embedder.passes == [[3]]


def test_the_loop_answers_questions_between_generations() -> None:
    from lcrt.chat.render import PlainTemplate
    from lcrt.runner.frames import Answers, Ask, FrameReader, FrameWriter, Shutdown, from_runner
    from lcrt.runner.logprobs import Logprobs
    from lcrt.runner.loop import RunnerLoop
    from lcrt.runner.pipeline import Pipeline
    from tests.runner.fake_model import LetterEngine, LetterVocab

    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    vocab = LetterVocab()
    loop = RunnerLoop(theirs, LetterEngine(), Pipeline(vocab, PlainTemplate(), 64), Logprobs(vocab), Asking().answerer)
    thread = threading.Thread(target=loop.run)
    thread.start()
    writer, reader = FrameWriter(), FrameReader(from_runner)
    ours.sendall(writer.encode(Ask(3, Tokenise("a"))) + writer.encode(Ask(4, Embed(("a",)))))
    answers: dict[int, Reply] = {}
    ours.settimeout(10)
    while len(answers) < 2:
        for frame in reader.feed(ours.recv(65536)):
            assert isinstance(frame, Answers)
            answers |= dict(frame.items)
    ours.sendall(writer.encode(Shutdown()))
    thread.join()
    ours.close()
    theirs.close()
    assert answers[3] == Tokens([1, 97, 2], [])
    assert isinstance(answers[4], Vectors)
