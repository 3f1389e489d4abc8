"""Slash commands: a line in, the changed session and what is to be done out. Nothing else happens here."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from lcrt.cli.repl import texts
from lcrt.cli.repl.effects import Ask, Effect, KeepHistory, ListModels, Load, Part, Quit, Save, Say, Show
from lcrt.cli.session import THINK_LEVELS, Session
from lcrt.errors import InvalidRequest
from lcrt.modelfile.parameters import STOP, parse_parameter

QUOTES = '"""'

Outcome = tuple[Session, tuple[Effect, ...]]


def obey(session: Session, line: str) -> Outcome:
    """Carry out one message or command that the user has entered."""
    text = line.strip()
    if not text:
        return session, ()
    word, _, rest = text.partition(" ")
    command = _COMMANDS.get(word)
    if command:
        return command(session, rest.strip())
    if text.startswith("/") and not _is_file(word):
        return session, (_complaint(f"Unknown command '{word}'. Type /? for help"),)
    return session, (Ask(unquote(text)),)


def unquote(text: str) -> str:
    """Take off the quotes of a message of several lines."""
    return text.removeprefix(QUOTES).removesuffix(QUOTES) if text.startswith(QUOTES) else text


def is_open(text: str) -> bool:
    """Say whether a message of several lines has begun and not ended."""
    line = text.lstrip().removeprefix("/set system").lstrip()
    return line.startswith(QUOTES) and not (len(line.rstrip()) >= 2 * len(QUOTES) and line.rstrip().endswith(QUOTES))


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):
        return False


def _complaint(text: str) -> Say:
    return Say(text, talk=True)


def _set(session: Session, rest: str) -> Outcome:
    name, _, value = rest.partition(" ")
    setter = _SETTERS.get(name)
    if setter:
        return setter(session, value.strip())
    if name in _SWITCHES:
        changes = _SWITCHES[name]
        return session.having(**changes), (Say(f"Set '{name}' mode."),)
    if not name:
        return session, (_complaint(texts.SET),)
    return session, (_complaint(f"Unknown command '/set {name}'. Type /? for help"),)


def _set_parameter(session: Session, rest: str) -> Outcome:
    name, *values = rest.split() or [""]
    if not values:
        return session, (_complaint(texts.PARAMETERS),)
    shown = ", ".join(values)
    try:
        value = values if name == STOP else parse_parameter(name, " ".join(values))
    except InvalidRequest as error:
        return session, (_complaint(f'Couldn\'t set parameter: "{error}"'),)
    return session.having(options={**session.options, name: value}), (Say(f"Set parameter '{name}' to '{shown}'"),)


def _set_system(session: Session, rest: str) -> Outcome:
    if not rest:
        return session, (_complaint("Usage:\n  /set system TEXT"),)
    return session.having(system=unquote(rest)), (Say("Set system message."),)


def _set_format(session: Session, rest: str) -> Outcome:
    if rest != "json":
        return session, (_complaint("Invalid or missing format. For JSON mode use '/set format json'"),)
    return session.having(format="json"), (Say("Set format to 'json' mode."),)


def _set_think(session: Session, rest: str) -> Outcome:
    if not rest:
        return session.having(think=True), (Say("Set 'think' mode."),)
    if rest not in THINK_LEVELS:
        return session, (_complaint(f"Unknown level '{rest}': use high, medium, low or max"),)
    return session.having(think=rest), (Say(f"Set 'think' mode to '{rest}'."),)


def _set_noformat(session: Session, rest: str) -> Outcome:
    del rest
    return session.having(format=""), (Say("Disabled format."),)


def _set_history(session: Session, rest: str) -> Outcome:
    del rest
    return session, (KeepHistory(on=True),)


def _set_nohistory(session: Session, rest: str) -> Outcome:
    del rest
    return session, (KeepHistory(on=False),)


def _show(session: Session, rest: str) -> Outcome:
    for part in get_args(Part):
        if rest == part:
            return session, (Show(part),)
    if not rest:
        return session, (_complaint(texts.SHOW),)
    return session, (_complaint(f"Unknown command '/show {rest}'. Type /? for help"),)


def _load(session: Session, rest: str) -> Outcome:
    return session, (Load(rest) if rest else _complaint("Usage:\n  /load MODEL"),)


def _save(session: Session, rest: str) -> Outcome:
    return session, (Save(rest) if rest else _complaint("Usage:\n  /save MODEL"),)


def _clear(session: Session, rest: str) -> Outcome:
    del rest
    return session.having(messages=()), (Say("Cleared session context"),)


def _list(session: Session, rest: str) -> Outcome:
    del rest
    return session, (ListModels(),)


def _quit(session: Session, rest: str) -> Outcome:
    del rest
    return session, (Quit(),)


def _help(session: Session, rest: str) -> Outcome:
    topics = {"set": texts.SET, "show": texts.SHOW, "shortcuts": texts.SHORTCUTS, "set parameter": texts.PARAMETERS}
    return session, (_complaint(topics.get(rest.removeprefix("/"), texts.COMMANDS)),)


_COMMANDS: dict[str, Callable[[Session, str], Outcome]] = {
    "/set": _set,
    "/show": _show,
    "/load": _load,
    "/save": _save,
    "/clear": _clear,
    "/list": _list,
    "/bye": _quit,
    "/exit": _quit,
    "/?": _help,
    "/help": _help,
}
_SETTERS: dict[str, Callable[[Session, str], Outcome]] = {
    "parameter": _set_parameter,
    "system": _set_system,
    "format": _set_format,
    "noformat": _set_noformat,
    "think": _set_think,
    "history": _set_history,
    "nohistory": _set_nohistory,
}
_SWITCHES: dict[str, dict[str, object]] = {
    "wordwrap": {"wordwrap": True},
    "nowordwrap": {"wordwrap": False},
    "verbose": {"verbose": True},
    "quiet": {"verbose": False},
    "nothink": {"think": False},
}
