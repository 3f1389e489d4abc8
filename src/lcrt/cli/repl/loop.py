"""The conversation: reads messages, carries out what the commands ask for, shows answers."""

import os
import sys
import time

from lcrt.cli.app import OK
from lcrt.cli.child import OwnDaemon
from lcrt.cli.list import model_table
from lcrt.cli.output.answer import Answer, Display
from lcrt.cli.output.spinner import Spinner
from lcrt.cli.output.summary import summary
from lcrt.cli.output.terminal import put, say
from lcrt.cli.repl.commands import obey
from lcrt.cli.repl.effects import Ask, Effect, KeepHistory, ListModels, Load, Quit, Save, Say, Show
from lcrt.cli.repl.prompt import Reader, choose_editor
from lcrt.cli.repl.show import shown_part
from lcrt.cli.session import Session, chat_request, load_request, save_request
from lcrt.client.wire import Shown
from lcrt.config.paths import history_file
from lcrt.config.settings import load_settings
from lcrt.errors import LcrtError, NotFound

_NEED_DAEMON = (Ask, ListModels, Load, Save)


def converse(daemon: OwnDaemon, session: Session, shown: Shown) -> int:
    """Converse until the user leaves."""
    choose_editor()
    reader = Reader(history_file(), remember=not load_settings(os.environ).nohistory)
    conversation = Conversation(daemon, reader, session, shown)
    conversation.begin()
    try:
        while (line := conversation.read()) is not None:
            if not conversation.take(line):
                break
    finally:
        reader.close()
    return OK


class Conversation:
    """The session as it is now and everything outside that it needs."""

    def __init__(self, daemon: OwnDaemon, reader: Reader, session: Session, shown: Shown) -> None:
        self._daemon = daemon
        self._reader = reader
        self._session = session
        self._shown = shown

    def begin(self) -> None:
        """Load the model and repeat the messages that it comes with."""
        self._load_model()
        for message in self._shown.messages or ():
            if message.role == "user":
                put(f">>> {message.content}\n")
            elif message.role == "assistant":
                put(f"{message.content}\n\n")

    def read(self) -> str | None:
        """Return what the user enters; None when he leaves."""
        try:
            return self._reader.read()
        except KeyboardInterrupt:
            put("\nUse Ctrl + d or /bye to exit.\n")
            return ""

    def take(self, line: str) -> bool:
        """Carry out one line; False ends the conversation. An error ends only what was tried."""
        self._session, effects = obey(self._session, line)
        for effect in effects:
            if isinstance(effect, Quit):
                return False
            try:
                if isinstance(effect, _NEED_DAEMON):
                    self._daemon.ensure()
                self._do(effect)
            except LcrtError as error:
                say(f"Error: {error}")
            except KeyboardInterrupt:
                put("\n")
        return True

    def _do(self, effect: Effect) -> None:
        match effect:
            case Ask(text):
                self._ask(text)
            case Say(text, talk):
                say(text) if talk else put(text + "\n")
            case Show(part):
                put(shown_part(part, self._session, self._shown))
            case Load(model):
                self._load(model)
            case Save(name):
                self._save(name)
            case ListModels():
                put(model_table(self._daemon.api.models(), time.time()))
            case KeepHistory(on):
                self._reader.remember(on=on)
                put(f"Set '{'history' if on else 'nohistory'}' mode.\n")

    def _ask(self, text: str) -> None:
        asked = self._session.said("user", text)
        answer, failure = self._answer(asked)
        if answer.text or answer.thinking:
            self._session = asked.said("assistant", answer.text, answer.thinking)
        put("\n\n")
        if failure:
            raise failure
        if self._session.verbose and answer.last:
            say(summary(answer.last))

    def _answer(self, asked: Session) -> tuple[Answer, LcrtError | None]:
        """Show an answer until it ends, fails or is stopped by Ctrl-C."""
        display = Display(wordwrap=asked.wordwrap, hide_thinking=asked.hide_thinking, is_terminal=sys.stdout.isatty())
        failure = None
        try:
            with Spinner() as spinner, self._daemon.api.chat(chat_request(asked)) as chunks:
                display.show(chunks, spinner)
        except KeyboardInterrupt:
            pass
        except LcrtError as error:
            failure = error
        return display.finish(), failure

    def _load(self, model: str) -> None:
        put(f"Loading model '{model}'\n")
        try:
            shown = self._daemon.api.show(model)
        except NotFound:
            put(f"Couldn't find model '{model}'\n")
            return
        think = False if self._session.think is False else None
        fresh = self._session.having(model=model, messages=(), system="", options={}, think=think)
        self._session = fresh.for_model(shown)
        self._shown = shown
        self.begin()

    def _load_model(self) -> None:
        try:
            with Spinner(), self._daemon.api.generate(load_request(self._session)) as chunks:
                for _ in chunks:
                    pass
        except LcrtError as error:
            say(f"Error: {error}")

    def _save(self, name: str) -> None:
        with self._daemon.api.create(save_request(self._session, name, self._shown)) as statuses:
            for _ in statuses:
                pass
        put(f"Created new model '{name}'\n")
