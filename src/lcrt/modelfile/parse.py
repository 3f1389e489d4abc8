"""Modelfiles: commands, one after the other, each with a value that may span lines when quoted."""

import codecs
import re
from typing import NoReturn

import msgspec

from lcrt.errors import InvalidRequest

ROLES = ("system", "user", "assistant")
_COMMANDS = (
    *("from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message"),
    "requires",
)
_BLANK = " \t"
_LINE_END = "\r\n"
_COMMAND_WORD = re.compile(r"[^\r\n][A-Za-z]*")
_PARAMETER_WORD = re.compile(r"[A-Za-z0-9_]*")
_ROLE_WORD = re.compile(r"[A-Za-z]*")
_END_OF_LINE = re.compile(r"[\r\n]|\Z")


class Command(msgspec.Struct, frozen=True):
    """One command: ``name`` is ``model`` for FROM and the parameter's own name for PARAMETER."""

    name: str
    args: str

    def __str__(self) -> str:
        if self.name == "model":
            return f"FROM {self.args}"
        if self.name == "message":
            role, _, text = self.args.partition(": ")
            return f"MESSAGE {role} {quote(text)}"
        keyword = self.name.upper() if self.name in _COMMANDS else f"PARAMETER {self.name}"
        return f"{keyword} {quote(self.args)}"


def parse_modelfile(data: bytes | str) -> tuple[Command, ...]:
    """Read a Modelfile; InvalidRequest when it is none, or has no FROM."""
    parser = _Parser(data if isinstance(data, str) else _decode(data))
    commands = tuple(parser.commands())
    if not any(command.name == "model" for command in commands):
        raise InvalidRequest("no FROM line")
    return commands


def write_modelfile(commands: tuple[Command, ...]) -> str:
    """Spell commands as a Modelfile."""
    return "".join(f"{command}\n" for command in commands)


def quote(text: str) -> str:
    """Quote a value that would not survive on a line of its own; as usual, or in another way that reads back."""
    plain = "\n" not in text and not text.startswith(" ") and not text.endswith(" ")
    single, triple = f'"{text}"', f'"""{text}"""'
    usual = text if plain else triple if '"' in text else single
    return next((form for form in (usual, single, triple) if _reads_back(form, text)), usual)


def _reads_back(form: str, text: str) -> bool:
    try:
        return parse_modelfile(f"FROM x\nSYSTEM {form}\n")[1:] == (Command("system", text),)
    except InvalidRequest:
        return False


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "replace")


class _Parser:
    """Walks through the text once."""

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._pos = 0

    def commands(self) -> list[Command]:
        found: list[Command] = []
        while self._skip_to_command():
            word = self._word(_COMMAND_WORD).lower()
            if word not in _COMMANDS:
                self._fail(f"command must be one of {_listed(_COMMANDS)}")
            if word == "parameter":
                found.append(Command(self._word(_PARAMETER_WORD), self._value()))
            elif word == "message":
                found.append(self._message())
            else:
                found.append(Command("model" if word == "from" else word, self._value()))
        return found

    def _skip_to_command(self) -> bool:
        while self._pos < len(self._text):
            char = self._text[self._pos]
            if char == "#":
                self._pos = self._end_of_line(self._pos)
            elif char in _BLANK or char in _LINE_END:
                self._pos += 1
            else:
                return True
        return False

    def _end_of_line(self, pos: int) -> int:
        match = _END_OF_LINE.search(self._text, pos)
        return match.start() if match else len(self._text)

    def _word(self, pattern: re.Pattern[str]) -> str:
        """Read a word that a blank must end."""
        while self._text[self._pos : self._pos + 1] in (" ", "\t"):
            self._pos += 1
        match = pattern.match(self._text, self._pos)
        word = match[0] if match else ""
        self._pos += len(word)
        if self._pos >= len(self._text):
            raise InvalidRequest("unexpected EOF")
        if self._text[self._pos] not in _BLANK:
            raise InvalidRequest(f"unexpected EOF: {word}")
        return word

    def _message(self) -> Command:
        role = self._word(_ROLE_WORD)
        if role not in ROLES:
            self._fail(f"message role must be one of {_listed(ROLES)}")
        return Command("message", f"{role}: {self._value()}")

    def _value(self) -> str:
        """Read to the end of the line, or to the closing quote at the end of a line."""
        end = self._end_of_line(self._pos)
        mark = _opening_quote(self._text[self._pos : end].lstrip())
        if not mark:
            value, self._pos = self._text[self._pos : end].strip(), end
            return value
        start = self._text.index(mark, self._pos) + len(mark)
        line = start
        while True:
            end = self._end_of_line(line)
            last = self._text[line:end].rstrip()
            if last.endswith(mark):
                self._pos = end
                return self._text[start : line + len(last) - len(mark)]
            if end >= len(self._text):
                raise InvalidRequest("unexpected EOF")
            line = end + 1

    def _fail(self, reason: str) -> NoReturn:
        line = self._text.count("\n", 0, self._pos) + 1
        raise InvalidRequest(f"(line {line}): {reason}")


def _opening_quote(line: str) -> str:
    if line.startswith('"""'):
        return '"""'
    return '"' if line.startswith('"') else ""


def _listed(words: tuple[str, ...]) -> str:
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])}, or {quoted[-1]}"
