"""Conversations of several turns at the same time, as long as the cells allow: tokens computed and wall time.

Every server has ``--cells`` cells for all of them. With more conversations than slots (``--conversations``) they
have to be put aside and fetched again. "New" are the tokens of a prompt that neither the prompt before nor the
answer to it had. Rivals: llama-server with its defaults, with ``-np 4``, with ``-np 8 -kvu``, and with one slot.
"""

import concurrent.futures
import contextlib
import itertools
import statistics
import time
from functools import partial

import msgspec

from bench.asking import Messages, ask, call, common, tokens_of, words
from bench.load import warm
from bench.peers import SMOL, lcrt_server, llama_server
from bench.rounds import alternate, arguments, table

N_SLOTS = 4
N_USER_WORDS = 25
N_ANSWER = 64

RIVALS = {
    "llama-server": (),
    "llama-server -np 4": ("-np", "4"),
    "llama-server -np 8 -kvu": ("-np", "8", "-kvu"),
    "llama-server -np 1": ("-np", "1"),
}


class Turn(msgspec.Struct, frozen=True):
    """What was asked, what came, and how many tokens of the prompt were computed."""

    messages: Messages
    answer: str
    n_computed: int


def talk(url: str, seed: str, n_turns: int) -> list[Turn]:
    """One conversation: every turn goes on from the answer before."""
    messages: list[dict[str, str]] = [{"role": "system", "content": words(f"{seed} system", 10)}]
    turns: list[Turn] = []
    for i in range(n_turns):
        messages.append({"role": "user", "content": words(f"{seed} {i}", N_USER_WORDS)})
        answer = ask(url, messages, N_ANSWER, ignore_eos=False)
        turns.append(Turn(list(messages), answer.text, answer.n_computed))
        messages.append({"role": "assistant", "content": answer.text})
    return turns


def n_new(rival: str, turns: list[Turn]) -> int:
    """Tokens that had to be computed at least."""
    n = 0
    held: list[int] = []
    for turn in turns:
        tokens = tokens_of(rival, turn.messages)
        n += len(tokens) - common(tokens, held)
        held = tokens + tokens_in(rival, turn.answer)
    return n


def tokens_in(rival: str, text: str) -> list[int]:
    """The tokens of a text by itself."""
    found: list[int] = call(f"{rival}/tokenize", {"content": text, "add_special": False})["tokens"]
    return found


def run(url: str, seed: int, n_conversations: int, n_turns: int) -> tuple[float, list[list[Turn]]]:
    """All conversations at the same time: seconds, and what was said."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(n_conversations) as pool:
        seeds = [f"{seed} {i}" for i in range(n_conversations)]
        talks = list(pool.map(lambda own: talk(url, own, n_turns), seeds))
    return time.monotonic() - started, talks


def main() -> None:
    """Run the rounds and print the tables."""
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--conversations", type=int, default=4)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--cells", type=int, default=4096)
    parser.add_argument("--rivals", nargs="*", choices=tuple(RIVALS), default=tuple(RIVALS))
    options = parser.parse_args()
    flags = ("-t", str(options.threads), "-c", str(options.cells))
    slots = {"LCRT_NUM_PARALLEL": str(N_SLOTS), "LCRT_CONTEXT_LENGTH": str(options.cells // N_SLOTS)}
    seeds = itertools.count()
    with contextlib.ExitStack() as stack:
        urls = {"lcrt": stack.enter_context(lcrt_server({"m": SMOL}, options.threads, **slots))[0]}
        for name in options.rivals:
            urls[name] = stack.enter_context(llama_server(SMOL, *flags, *RIVALS[name]))[0]
        for url in urls.values():
            warm(url, "m")
        computed: dict[str, list[float]] = {name: [] for name in urls}
        rates: dict[str, list[float]] = {name: [] for name in urls}

        def measure(name: str) -> float:
            wall, talks = run(urls[name], next(seeds), options.conversations, options.turns)
            needed = sum(n_new(urls[options.rivals[0]], turns) for turns in talks)
            computed[name].append(sum(turn.n_computed for turns in talks for turn in turns) / needed)
            answers = sum(len(tokens_in(urls[options.rivals[0]], turn.answer)) for turns in talks for turn in turns)
            rates[name].append((needed + answers) / wall)
            return wall

        walls = alternate({name: partial(measure, name) for name in urls}, options.rounds)
    title = f"{options.conversations} conversations of {options.turns} turns, {options.cells} cells"
    print(table(f"{title}: wall", walls, "lcrt", "s"))
    print(table("new prompt tokens and answer tokens a second (answers differ in length)", rates, "lcrt", "tokens/s"))
    print(table("prompt tokens computed, as a multiple of the new ones", computed, "lcrt", "x"))
    best = min((statistics.median(values), name) for name, values in walls.items() if name != "lcrt")
    print(f"best rival: {best[1]}; lcrt takes {statistics.median(walls['lcrt']) / best[0]:.2f} of its time")


if __name__ == "__main__":
    main()
