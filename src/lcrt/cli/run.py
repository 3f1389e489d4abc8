"""``lcrt run``: an answer to a prompt, or a conversation."""

import argparse
import sys

import msgspec

from lcrt.cli.app import FAILED, INTERRUPTED, OK, UsageError
from lcrt.cli.child import OwnDaemon
from lcrt.cli.output.answer import Display
from lcrt.cli.output.spinner import Spinner
from lcrt.cli.output.summary import summary
from lcrt.cli.output.terminal import is_typed, piped_text, put, say
from lcrt.cli.session import Session, format_value, generate_request, load_request, parse_think
from lcrt.cli.target import address
from lcrt.client.api import Api
from lcrt.client.wire import Shown
from lcrt.errors import NotFound
from lcrt.units import parse_duration


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model, the prompt and how to answer."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="*", default=[], help="what to answer; without one, a conversation begins"
    )
    parser.add_argument("--format", default="", metavar="FORMAT", help="json, or a JSON schema that the answer follows")
    parser.add_argument("--think", metavar="LEVEL", help="true, false, high, medium, low or max (write --think=LEVEL)")
    parser.add_argument("--hidethinking", action="store_true", help="do not show what the model thinks")
    parser.add_argument(
        "--keepalive", default="", metavar="TIME", help="keep the model loaded so long (5m, -1s: always)"
    )
    parser.add_argument("--verbose", action="store_true", help="print times and rates after each answer")
    parser.add_argument("--nowordwrap", action="store_true", help="do not wrap words at the edge of the terminal")
    parser.add_argument("--insecure", action="store_true", help="allow a registry without TLS")
    parser.add_argument(
        "--truncate", action="store_true", default=None, help="cut input too long for an embedding model"
    )
    parser.add_argument("--dimensions", type=int, default=0, metavar="N", help="length of an embedding")


def run(given: argparse.Namespace) -> int:
    """Answer once when there is a prompt or no terminal, else converse."""
    session = _session(given)
    prompt = _prompt(given.prompt)
    with OwnDaemon(address()) as daemon:
        with Spinner():
            daemon.ensure()
        shown = _look_up(daemon.api, given)
        session = session.for_model(shown)
        if "embedding" in (shown.capabilities or []):
            return _embed(daemon.api, given, prompt)
        if prompt or not is_typed() or not sys.stdout.isatty():
            return answer_once(daemon.api, session, prompt)
        from lcrt.cli.repl.loop import converse

        return converse(daemon, session, shown)


def _session(given: argparse.Namespace) -> Session:
    if given.keepalive:
        try:
            parse_duration(given.keepalive)
        except ValueError as error:
            raise UsageError(f"invalid value for --keepalive: {error}") from error
    if given.format:
        format_value(given.format)
    return Session(
        model=given.model,
        format=given.format,
        think=parse_think(given.think),
        keep_alive=given.keepalive,
        wordwrap=not given.nowordwrap,
        verbose=given.verbose,
        hide_thinking=given.hidethinking,
    )


def _prompt(words: list[str]) -> str:
    """Join piped input and the arguments."""
    return " ".join(part for part in (piped_text(), *words) if part)


def _look_up(api: Api, given: argparse.Namespace) -> Shown:
    """Ask about the model; one that is missing is pulled first."""
    try:
        return api.show(given.model)
    except NotFound:
        from lcrt.cli.pull import pull_model

        pull_model(api, {"model": given.model, "insecure": given.insecure})
        return api.show(given.model)


def answer_once(api: Api, session: Session, prompt: str) -> int:
    """Stream one answer to stdout; Ctrl-C ends it."""
    if not prompt:
        return _load(api, session)
    display = Display(wordwrap=session.wordwrap, hide_thinking=session.hide_thinking, is_terminal=sys.stdout.isatty())
    code = OK
    try:
        with Spinner() as spinner, api.generate(generate_request(session, prompt)) as chunks:
            display.show(chunks, spinner)
    except KeyboardInterrupt:
        code = INTERRUPTED
    answer = display.finish()
    put("\n\n")
    if code == OK and answer.last is None:
        say("Error: the answer ended early")
        return FAILED
    if session.verbose and answer.last:
        say(summary(answer.last).rstrip("\n"))
    return code


def _load(api: Api, session: Session) -> int:
    with Spinner(), api.generate(load_request(session)) as chunks:
        for _ in chunks:
            pass
    return OK


def _embed(api: Api, given: argparse.Namespace, prompt: str) -> int:
    if not prompt:
        raise UsageError(f'embedding models require input text. Usage: lcrt run {given.model} "your text here"')
    request: dict[str, object] = {"model": given.model, "input": prompt}
    if given.keepalive:
        request["keep_alive"] = given.keepalive
    if given.truncate is not None:
        request["truncate"] = given.truncate
    if given.dimensions:
        request["dimensions"] = given.dimensions
    with Spinner():
        vectors = api.embed(request)
    put(msgspec.json.encode(vectors[0] if vectors else []).decode() + "\n")
    return OK
