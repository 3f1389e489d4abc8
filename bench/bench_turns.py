"""Conversations of several turns at the same time, as long as the cells allow: tokens computed and wall time.

Every server has ``--cells`` cells for all of them. With more conversations than slots (``--conversations``) they
have to be put aside and fetched again. Tokens are counted in rounds of their own, in which all servers have the same
conversations. "Needed" are the tokens of a prompt that neither the prompt before nor the answer to it had. "New" is the
same as the text has it: there the answer is cut into tokens again, and seldom as the model made it. Rivals:
llama-server with its defaults, with ``-np 4``, with ``-np 8 -kvu``, and with one slot.
"""

import concurrent.futures
import contextlib
import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec

from bench.asking import Answer, Messages, ask, common, pieces_in, pieces_of, words
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
    """What was asked, and what came."""

    messages: Messages
    answer: Answer


def talk(url: str, seed: str, n_turns: int, *, pieces: bool = False) -> list[Turn]:
    """One conversation: every turn goes on from the answer before."""
    messages: list[dict[str, str]] = [{"role": "system", "content": words(f"{seed} system", 10)}]
    turns: list[Turn] = []
    for i in range(n_turns):
        messages.append({"role": "user", "content": words(f"{seed} {i}", N_USER_WORDS)})
        answer = ask(url, messages, N_ANSWER, ignore_eos=False, pieces=pieces)
        turns.append(Turn(list(messages), answer))
        messages.append({"role": "assistant", "content": answer.text})
    return turns


def n_behind(rival: str, talks: list[list[Turn]], pieces: Callable[[Answer], list[bytes]]) -> int:
    """Tokens that prompts have behind what they share with the prompt before and the ``pieces`` of its answer."""
    n = 0
    for turns in talks:
        held: list[bytes] = []
        for turn in turns:
            prompt = pieces_of(rival, turn.messages)
            n += len(prompt) - common(prompt, held)
            held = prompt + pieces(turn.answer)
    return n


def run(
    url: str, seed: int, n_conversations: int, n_turns: int, *, pieces: bool = False
) -> tuple[float, list[list[Turn]]]:
    """All conversations at the same time: seconds, and what was said."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(n_conversations) as pool:
        seeds = [f"{seed} {i}" for i in range(n_conversations)]
        talks = list(pool.map(lambda own: talk(url, own, n_turns, pieces=pieces), seeds))
    return time.monotonic() - started, talks


def again(rival: str, answer: Answer) -> list[bytes]:
    """The answer's text cut into tokens by itself."""
    return pieces_in(rival, answer.text)


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
        rates: dict[str, list[float]] = {name: [] for name in urls}
        rival = urls[options.rivals[0]]
        needed: dict[str, list[float]] = {name: [] for name in urls}
        new: dict[str, list[float]] = {name: [] for name in urls}

        def measure(name: str) -> float:
            wall, talks = run(urls[name], next(seeds), options.conversations, options.turns)
            n_answered = sum(len(again(rival, turn.answer)) for turns in talks for turn in turns)
            rates[name].append((n_behind(rival, talks, partial(again, rival)) + n_answered) / wall)
            return wall

        def count(name: str, seed: int) -> None:
            _, talks = run(urls[name], seed, options.conversations, options.turns, pieces=True)
            n_computed = sum(turn.answer.n_computed for turns in talks for turn in turns)
            needed[name].append(n_computed / n_behind(rival, talks, lambda answer: list(answer.held)))
            new[name].append(n_computed / n_behind(rival, talks, partial(again, rival)))

        walls = alternate({name: partial(measure, name) for name in urls}, options.rounds)
        for seed in range(-options.rounds, 0):
            for name in urls:
                count(name, seed)
    title = f"{options.conversations} conversations of {options.turns} turns, {options.cells} cells"
    print(table(f"{title}: wall", walls, "lcrt", "s"))
    print(table("new prompt tokens and answer tokens a second (answers differ in length)", rates, "lcrt", "tokens/s"))
    print(table("prompt tokens computed, as a multiple of the needed ones", needed, "lcrt", "x"))
    print(table("prompt tokens computed, as a multiple of the new ones", new, "lcrt", "x"))
    best = min((statistics.median(values), name) for name, values in walls.items() if name != "lcrt")
    print(f"best rival: {best[1]}; lcrt takes {statistics.median(walls['lcrt']) / best[0]:.2f} of its time")


if __name__ == "__main__":
    main()
