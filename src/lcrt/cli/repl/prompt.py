"""The line editor: keys, history, messages of several lines."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.filters import is_done
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from lcrt.cli.output.terminal import has_colour
from lcrt.cli.repl.commands import is_open

_HISTORY_MAX = 100
_PLACEHOLDER = "Send a message (/? for help)"


class History(FileHistory):
    """The last 100 messages, in a file; ``on`` says whether new ones are remembered."""

    def __init__(self, path: Path, *, on: bool) -> None:
        self.on = on
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(str(path))

    def load_history_strings(self) -> Iterable[str]:
        """Give the newest first; nothing when the user wants no history."""
        if not self.on:
            return []
        try:
            return list(super().load_history_strings())[:_HISTORY_MAX]
        except OSError:
            return []

    def append_string(self, string: str) -> None:
        """Remember a message in memory, and in the file when that is wanted."""
        if self.on:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Append to the file; a file that cannot be written is not worth an error."""
        try:
            super().store_string(string)
        except OSError:
            self.on = False

    def trim(self) -> None:
        """Leave the last messages in the file."""
        path = Path(os.fsdecode(self.filename))
        kept = list(self.load_history_strings())
        if not self.on or len(kept) < _HISTORY_MAX:
            return
        path.write_bytes(b"")
        for string in reversed(kept):
            self.store_string(string)


class Reader:
    """Asks for messages until the user leaves."""

    def __init__(self, history: Path, *, remember: bool) -> None:
        self._history = History(history, on=remember)
        self._session: PromptSession[str] = PromptSession(
            history=self._history,
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation="... ",
            placeholder=FormattedText([("class:placeholder", _PLACEHOLDER)]),
            style=Style.from_dict({"placeholder": "#888888"} if has_colour() else {}),
            enable_open_in_editor=False,
        )

    def read(self) -> str | None:
        """Return the next message; None when the user leaves, ``""`` when he dropped what he typed."""
        try:
            return self._session.prompt(">>> ")
        except EOFError:
            return None

    def remember(self, *, on: bool) -> None:
        """Begin or end writing history."""
        self._history.on = on

    def close(self) -> None:
        """Keep the history file short."""
        self._history.trim()


def choose_editor() -> None:
    """Let LCRT_EDITOR or OLLAMA_EDITOR come before VISUAL and EDITOR."""
    own = os.environ.get("LCRT_EDITOR") or os.environ.get("OLLAMA_EDITOR")
    if own:
        os.environ["VISUAL"] = own


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_done)
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_open(buffer.text):
            buffer.newline()
        else:
            buffer.validate_and_handle()

    @keys.add("c-c")
    def drop(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    @keys.add("c-j")
    def line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-g")
    def editor(event: KeyPressEvent) -> None:
        event.current_buffer.open_in_editor()

    return keys
