"""Random jobs, grammars and cancels on a real model: ``python -m tests.native.fuzz MODEL [--minutes N] [--seed N]``.

Every engine has other sizes, and disk and memory tiers that are too small. Jobs that were computed alone first
must say the same in the crowd, up to a place where the two likeliest tokens were close, or where passes of other
sizes move them by much: endless repetition is as steady as a pencil on its tip. Answers under a grammar must keep
to it; every job begins at most once and ends exactly once. The seed of a round is printed with it.
"""

import argparse
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec

from lcrt.core.options import Sampling
from lcrt.errors import BusyError
from lcrt.native.engine import Engine, Event
from lcrt.native.grammar import Grammar, Guide
from lcrt.native.model import Model
from lcrt.native.values import CacheParams, ContextParams, EngineParams
from lcrt.runner.grammar import library_path

GREEDY = Sampling(temperature=0.0)
TIE = 0.6  # between the logits of two tokens: what batches of other shapes change in a Q4_K_M at most
SIZES = (512, 64, 30)  # of passes that answers are computed with alone
N_KNOWN = 24
N_ANSWER = 48
N_JOBS = 120
N_CTX = 1024
TEXT = "the a river runs down to old sea where boats wait for wind and rain in spring while two men talk of"
WORDS = TEXT.split()
EXPRESSIONS = ("(yes|no|perhaps)", "[a-z]{3,12}", r'\{"n": -?[0-9]{1,5}\}', "x" * 70 + "(y|z)", "(ab|cd){2,9}e")


class Known(msgspec.Struct, frozen=True):
    """A prompt with the answer it has alone: tokens, by how much each led the next one, and how many are steady."""

    prompt: list[int]
    tokens: tuple[int, ...]
    leads: tuple[float, ...]
    n_steady: int


class Running(msgspec.Struct):
    """A job and what came of it."""

    known: Known | None
    expression: str | None
    max_tokens: int
    cancel_after: int
    tokens: list[int] = []
    text: str = ""
    started: bool = False
    cancelled: bool = False


def sentence(rng: random.Random, n_words: int) -> str:
    """Words of no meaning."""
    return " ".join(rng.choice(WORDS) for _ in range(n_words))


def alone(model: Model, prompts: list[list[int]]) -> list[Known]:
    """Answer every prompt in passes of several sizes."""
    known = []
    for prompt, *each in zip(prompts, *(answers(model, prompts, size) for size in SIZES), strict=True):
        tokens, leads = each[0]
        n_steady = min(n_alike(each[0], other) for other in each[1:])
        known.append(Known(prompt, tuple(tokens), tuple(leads), n_steady))
    return known


Answer = tuple[list[int], list[float]]


def n_alike(one: Answer, other: Answer) -> int:
    """How far two answers are the same, and their leads about as large."""
    rows = zip(*one, *other, strict=False)
    return next((i for i, (a, x, b, y) in enumerate(rows) if a != b or abs(x - y) > TIE), len(one[0]))


def answers(model: Model, prompts: list[list[int]], n_batch: int) -> list[Answer]:
    """Answer one prompt after another, with nothing from before."""
    out = []
    with Engine(model, ContextParams(n_ctx=N_CTX, n_parallel=1, n_batch=n_batch)) as engine:
        for number, prompt in enumerate(prompts):
            engine.submit(number, prompt, GREEDY, max_tokens=N_ANSWER, cache=False, n_logprobs=2)
            tokens: list[int] = []
            leads: list[float] = []
            finished = False
            while not finished:
                engine.wait()
                for event in engine.events():
                    tokens += event.tokens
                    leads += [pair[0][1] - pair[1][1] for pair in tops(event.logprobs)]
                    finished = event.kind == "finish"
            out.append((tokens, leads))
    return out


def tops(logprobs: list[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """The two likeliest of each token."""
    return [logprobs[i + 1 : i + 3] for i in range(0, len(logprobs), 3)]


class Round:
    """One engine and its jobs."""

    def __init__(self, model: Model, guide: Guide, known: list[Known], seed: int, folder: Path) -> None:
        self.rng = rng = random.Random(seed)
        self.model, self.guide, self.known = model, guide, known
        cache = CacheParams(
            ram=rng.choice((0, 4 << 20, 64 << 20)),
            disk=rng.choice((0, 8 << 20, 256 << 20)),
            directory=str(folder),
            version="1",
            model="fuzz",
            setup="fuzz",
        )
        n_parallel = rng.randint(1, 12)
        layout: Literal["unified", "split"] = "split" if n_parallel > 1 and rng.random() < 0.5 else "unified"
        context = ContextParams(
            n_ctx=N_CTX,
            n_parallel=n_parallel,
            layout=layout,
            n_batch=rng.choice((64, 200, 512)),
            kv_cells_max=N_CTX + rng.randint(0, 2000) if layout == "unified" else 0,
        )
        params = EngineParams(
            cache=cache, n_draft=rng.choice((0, 8)), n_chunk=rng.choice((0, 16)), wake_interval=rng.choice((0.0, 0.016))
        )
        self.engine = Engine(model, context, params)
        self.jobs: dict[int, Running] = {}

    def run(self) -> int:
        """Run the jobs; the number of tokens that came."""
        rng = self.rng
        n_submitted = n_tokens = 0
        with self.engine:
            while n_submitted < N_JOBS or self.jobs:
                while n_submitted < N_JOBS and len(self.jobs) < 40 and rng.random() < 0.7:
                    n_submitted += self.submit(n_submitted)
                self.engine.wait(5.0)
                for event in self.engine.events():
                    n_tokens += len(event.tokens)
                    self.take(event)
                if self.jobs and rng.random() < 0.02:
                    self.cancel(rng.choice(list(self.jobs)))
            if rng.random() < 0.5:
                self.engine.store(5.0)
        return n_tokens

    def submit(self, number: int) -> int:
        """Queue one job of a random kind."""
        rng = self.rng
        kind = rng.choice(("known", "known", "free", "guided"))
        known = rng.choice(self.known) if kind == "known" else None
        expression = rng.choice(EXPRESSIONS) if kind == "guided" else None
        prompt = known.prompt if known else self.model.vocab.tokenise(sentence(rng, rng.randint(1, 300)))
        sampling = GREEDY if known else Sampling(seed=rng.getrandbits(32), temperature=rng.choice((0.0, 0.8, 2.0)))
        max_tokens = N_ANSWER if known else rng.randint(1, 150)
        grammar: Grammar | None = self.guide.compile("regex", expression) if expression else None
        job = Running(known, expression, max_tokens, rng.randint(0, 60) if rng.random() < 0.2 else -1)
        try:
            self.engine.submit(
                number,
                list(prompt)[-900:],
                sampling,
                max_tokens=max_tokens,
                cache=rng.random() < 0.8,
                grammar=grammar,
                ignore_eog=not known and not expression and rng.random() < 0.3,
                stops=("rain",) if not known and not expression and rng.random() < 0.3 else (),
            )
        except BusyError:
            return 0
        self.jobs[number] = job
        return 1

    def cancel(self, number: int) -> None:
        """Cancel a job that has not ended."""
        self.jobs[number].cancelled = True
        self.engine.cancel(number)

    def take(self, event: Event) -> None:
        """Check one event."""
        number, kind = event.id, event.kind
        job = self.jobs[number]
        if kind == "start":
            check(not job.started, "began twice")
            job.started = True
        job.tokens += event.tokens
        job.text += event.text
        if 0 <= job.cancel_after <= len(job.tokens) and not job.cancelled:
            self.cancel(number)
        if kind == "finish":
            del self.jobs[number]
            judge(job, event.finish, event.error)


def judge(job: Running, finish: str | None, error: str) -> None:
    """Check what a job came to."""
    check(finish != "error", f"failed: {error}")
    check(finish != "cancel" or job.cancelled, "was cancelled by nobody")
    check(len(job.tokens) <= job.max_tokens, "has too many tokens")
    if job.expression and finish == "stop":
        check(re.fullmatch(job.expression, job.text) is not None, f"left {job.expression}: {job.text!r}")
    if job.known:
        same = zip(job.tokens, job.known.tokens, strict=False)
        parts = next((i for i, (a, b) in enumerate(same) if a != b), None)
        if parts is not None:
            holds = parts >= job.known.n_steady or job.known.leads[parts] < TIE
            check(holds, f"parts at token {parts}, lead {job.known.leads[parts]:.2f}")
        elif finish != "cancel" and job.known.n_steady == len(job.known.tokens):
            check(len(job.tokens) == len(job.known.tokens), "has another length")


def check(holds: bool, what: str) -> None:
    """End with a message unless something holds."""
    if not holds:
        raise SystemExit(f"a job {what}")


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run rounds until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    with Model(options.model) as model, Guide(model, library_path()) as guide:
        rng = random.Random(0)
        openings = [sentence(rng, 250) for _ in range(4)]
        texts = [rng.choice(openings) + sentence(rng, rng.randint(1, 120)) for _ in range(N_KNOWN)]
        known = alone(model, [list(model.vocab.tokenise(text))[:800] for text in texts])
        say(f"{sum(each.n_steady for each in known)} of {sum(len(each.tokens) for each in known)} tokens are steady")
        n_rounds = n_tokens = 0
        with tempfile.TemporaryDirectory() as folder:
            while time.monotonic() < until:
                seed = options.seed + n_rounds
                say(f"round {n_rounds}, seed {seed}")
                n_tokens += Round(model, guide, known, seed, Path(folder)).run()
                n_rounds += 1
    say(f"{n_rounds} rounds of {N_JOBS} jobs, {n_tokens} tokens: nothing wrong")


if __name__ == "__main__":
    main()
