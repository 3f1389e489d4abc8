"""What guessed tokens bring, and what they cost where they bring nothing: the engine with and without them, by turns.

Kinds of answers, each text once, so that nothing is found that an earlier round has said:

* edit: a prompt of 250 tokens with a small change about every 24 tokens, and the text without these changes as the
  answer. The model is scripted (``bench/scripted.py``): SmolLM2's size and cost, and the answer known before.
* rewrite: SmolLM2 itself copies a text and must not use some of its names. It soon goes its own way, as a model of
  that size does, so this says what happens between the two others.
* free: SmolLM2 writes stories at temperature 0.8, alone, with 8 and with 32 streams.
* draft: the same, alone, with a draft model that is its first 8 layers, which are hardly ever right.
"""

import random
from collections.abc import Callable, Sequence

import msgspec

from bench.peers import MODELS, SMOL
from bench.rounds import Measure, alternate, arguments, table
from bench.scripted import edited, order, scripted
from lcrt.core.options import Sampling
from lcrt.native import runtime
from lcrt.native.engine import Engine
from lcrt.native.model import Model
from lcrt.native.values import ContextParams, EngineParams
from lcrt.runner.draft import N_DRAFT
from tests.native.layers import first_layers

N_TEXT, N_BETWEEN = 250, 24
N_REWRITE, N_FREE, N_LAYERS = 150, 192, 8
SENTENCES = (
    "Every evening at eight the last {who} go home, and the {post} walks through the rooms with a lamp.",
    "{name} has worked there for twenty-two years.",
    "She says that the house was fuller before the new {rival} was opened, because the children came in to read.",
    "In winter the council heats only the large hall, where the windows are new, and everybody has to share it.",
    "The {post}, a former sailor named {other}, keeps a list of every {thing} that has been lent since 1987.",
    "He writes the titles with a fountain pen in green ink.",
    "Last spring {name} asked him for a copy, and since then it has been kept in the town hall of {place} as well.",
)
WORDS = {
    "house": ("library", "museum", "school", "mill", "bakery", "theatre"),
    "place": ("Oakford", "Lindale", "Redmouth", "Ashby", "Marlow", "Tenby", "Holt", "Wells"),
    "who": ("readers", "guests", "visitors", "pupils", "workers"),
    "post": ("porter", "keeper", "guard", "clerk", "teacher"),
    "name": ("Martha Quill", "Anna Bell", "Ruth Hale", "Mary Stone", "Jane Field"),
    "other": ("Owen Pratt", "Tom Reed", "Paul West", "John Marsh"),
    "rival": ("school", "bridge", "station", "market"),
    "thing": ("book", "map", "coat", "ticket", "lamp"),
}
HEROES = ("fox", "miller", "sailor", "witch", "boy", "king", "nurse", "crow", "baker", "girl", "wolf", "clerk")
WISHES = ("see the sea", "find a friend", "build a boat", "learn to sing", "cross the desert", "climb the hill")


class Job(msgspec.Struct, frozen=True):
    """What one stream is asked for; ``answer`` where it is known."""

    prompt: Sequence[int]
    sampling: Sampling
    n_tokens: int
    answer: Sequence[int] = ()


MakeJob = Callable[[Model, int], Job]


class Setup(msgspec.Struct, frozen=True):
    """What both contenders are given."""

    model: Model
    make: MakeJob
    streams: int
    threads: int


class Contender:
    """An engine, and the jobs that it has had."""

    def __init__(self, setup: Setup, n_draft: int, draft: Model | None = None) -> None:
        self._model, self._make, self._streams = setup.model, setup.make, setup.streams
        context = ContextParams(n_ctx=1024, n_parallel=max(setup.streams, 4), n_threads=setup.threads)
        self.engine = Engine(setup.model, context, EngineParams(n_draft=n_draft), draft)
        self._n_jobs = 0

    def rate(self) -> float:
        """Tokens per second of each stream, the next text for every one of them."""
        jobs = [self._make(self._model, self._n_jobs + i) for i in range(self._streams)]
        self._n_jobs += self._streams
        for number, job in enumerate(jobs):
            self.engine.submit(number, job.prompt, job.sampling, max_tokens=job.n_tokens, ignore_eog=True)
        tokens: list[list[int]] = [[] for _ in jobs]
        rates: list[float] = []
        while len(rates) < len(jobs):
            self.engine.wait()
            for event in self.engine.events():
                tokens[event.id] += event.tokens
                if event.finish is not None and event.usage is not None:
                    rates.append(event.usage.n_generated / event.usage.decode)
        for job, found in zip(jobs, tokens, strict=True):
            if len(found) != job.n_tokens or (job.answer and found != list(job.answer)):
                raise RuntimeError("the answer is not what it should be")
        return sum(rates) / len(rates)


def edit(model: Model, number: int) -> Job:
    """A text that differs from the one in the prompt by small changes."""
    known = order(model.info.n_vocab)
    begin = 1 + number * N_TEXT
    text = known[begin : begin + N_TEXT]
    prompt = [*edited(text, N_BETWEEN, random.Random(number)), known[begin - 1]]
    return Job(prompt, Sampling(temperature=0.0), N_TEXT, text)


def rewrite(model: Model, number: int) -> Job:
    """A text again, in which some names may not come."""
    rng = random.Random(number)
    shown, _ = _text(rng)
    text, words = _text(rng)
    before = f"Before: {shown}\nAfter: {shown}\n\nBefore: {text}\nAfter: {text[: text.index('.') + 1]}"
    banned = [words["name"].split()[0], words["other"].split()[0], words["place"], words["who"]]
    bias = tuple((int(model.vocab.tokenise(f" {word}")[0]), -100.0) for word in banned)
    return Job(model.vocab.tokenise(before).tolist(), Sampling(temperature=0.0, logit_bias=bias), N_REWRITE)


def _text(rng: random.Random) -> tuple[str, dict[str, str]]:
    words = {name: rng.choice(choices) for name, choices in WORDS.items()}
    middle = rng.sample(SENTENCES[:-1], len(SENTENCES) - 1)
    first = f"The {words['house']} of {words['place']} stands at the end of a narrow street."
    return " ".join([first, *(sentence.format(**words) for sentence in (*middle, SENTENCES[-1]))]), words


def free(model: Model, number: int) -> Job:
    """A story."""
    rng = random.Random(number)
    prompt = f"Write a long story about a {rng.choice(HEROES)} who wanted to {rng.choice(WISHES)}.\n\nOnce upon a time"
    return Job(model.vocab.tokenise(prompt).tolist(), Sampling(temperature=0.8, seed=number), N_FREE)


def short_free(model: Model, number: int) -> Job:
    """The beginning of a story, where there are many."""
    return msgspec.structs.replace(free(model, number), n_tokens=N_FREE // 3)


def compare(title: str, setup: Setup, rounds: int, draft: Model | None = None) -> str:
    """The table of one kind of answers."""
    with_drafts, without = Contender(setup, N_DRAFT, draft), Contender(setup, 0)
    contenders: dict[str, Measure] = {"drafts": with_drafts.rate, "none": without.rate}
    try:
        for measure in contenders.values():
            measure()
        before = with_drafts.engine.stats()
        samples = alternate(contenders, rounds)
        stats = with_drafts.engine.stats()
    finally:
        with_drafts.engine.close()
        without.engine.close()
    drafted, accepted = stats.n_drafted - before.n_drafted, stats.n_accepted - before.n_accepted
    head = f"{title}, {setup.streams} streams, {setup.threads} threads; {drafted} tokens guessed, {accepted} right"
    return table(head, samples, "drafts", "tokens/s of a stream")


def main() -> None:
    """Run everything and print the tables."""
    parser = arguments(__doc__ or "", rounds=7)
    parser.add_argument("--only", choices=("edit", "rewrite", "free", "draft"))
    parser.add_argument("--streams", type=int, nargs="*", default=(1, 8, 32), help="of the stories")
    options = parser.parse_args()
    runtime.init()
    rounds, threads = options.rounds, options.threads
    if options.only in ("edit", None):
        with Model(scripted()) as model:
            print(compare("edit", Setup(model, edit, 1, threads), rounds), flush=True)
    with Model(SMOL) as model:
        if options.only in ("rewrite", None):
            print(compare("rewrite", Setup(model, rewrite, 1, threads), rounds), flush=True)
        for streams in options.streams if options.only in ("free", None) else ():
            setup = Setup(model, free if streams == 1 else short_free, streams, threads)
            print(compare("free", setup, rounds), flush=True)
        if options.only in ("draft", None):
            with Model(first_layers(SMOL, MODELS / f"{SMOL.stem}.8-layers.gguf", N_LAYERS)) as draft:
                print(compare("free, a bad draft model", Setup(model, free, 1, threads), rounds, draft), flush=True)


if __name__ == "__main__":
    main()
