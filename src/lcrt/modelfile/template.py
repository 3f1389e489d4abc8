"""What a Go template asks for, found without running it: its variables, its thinking tags, its errors."""

import re
from collections.abc import Iterator
from typing import NoReturn

import msgspec

PLAIN_TEMPLATE = "{{ .Prompt }}"
"""The one that needs no interpreter: the prompt as it is."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])+')
    |(?P<chain>\$\w*(?:\.[^\W\d]\w*)*|(?:\.[^\W\d]\w*)+)
    |(?P<word>[^\W\d]\w*)
    |(?P<number>[+-]?\d[\w.]*)
    |(?P<mark>:=|[=,|().])
    )""",
    re.VERBOSE,
)
_BLOCKS = frozenset({"if", "range", "with", "define", "block"})
_NEED_VALUE = frozenset({"if", "range", "with"})
_KEYWORDS = _BLOCKS | {"else", "end", "template", "break", "continue", "true", "false", "nil"}
_FUNCTIONS = frozenset(
    {"and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "call"}
    | {"eq", "ne", "lt", "le", "gt", "ge", "json", "currentDate", "yesterdayDate", "toTypeScriptType"}
)
_WORDS = _KEYWORDS | _FUNCTIONS
_BLANK = " \t\r\n"
_COMMENT = re.compile(r"\s*/\*.*?\*/( -)?}}", re.DOTALL)
_END = re.compile(r"(\s+-|\s*)}}")


class TemplateError(ValueError):
    """A template that cannot be parsed."""


class Token(msgspec.Struct, frozen=True):
    """A piece of an action: ``kind`` is string, chain (fields and variables), word, number or mark."""

    kind: str
    text: str


class Node(msgspec.Struct):
    """Text, an action, or a block with a body; ``keyword`` is empty for text."""

    keyword: str = ""
    text: str = ""
    tokens: tuple[Token, ...] = ()
    body: list["Node"] = []
    orelse: list["Node"] = []


class Template(msgspec.Struct, frozen=True):
    """A parsed template's facts; ``variables`` are in lower case, the tags empty when there are none."""

    variables: frozenset[str]
    think_open: str
    think_close: str

    @property
    def has_thinking(self) -> bool:
        """Whether it marks thinking with two tags."""
        return bool(self.think_open and self.think_close)


def scan(source: str) -> Template:
    """Parse a template and say what it uses; TemplateError when Go would refuse it."""
    nodes = _Parser(source).parse()
    variables = {name for node in _walk(nodes) for name in _variables(node.tokens)}
    if not variables & {"messages", "response"}:
        variables.add("response")
    tags = ["", ""]
    _find_tags(nodes, in_messages=False, tags=tags)
    return Template(frozenset(variables), tags[0], tags[1])


class _Parser:
    """Builds nodes; blocks nest on a stack."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._pos = 0
        self._root: list[Node] = []
        self._target = self._root
        self._stack: list[tuple[Node, list[Node]]] = []

    def parse(self) -> list[Node]:
        trim = False
        while True:
            start = self._source.find("{{", self._pos)
            text = self._source[self._pos : start if start >= 0 else len(self._source)]
            trim_next = start >= 0 and self._source[start + 2 : start + 3] == "-" and self._is_blank(start + 3)
            text = text.lstrip(_BLANK) if trim else text
            text = text.rstrip(_BLANK) if trim_next else text
            if text:
                self._target.append(Node(text=text))
            if start < 0:
                break
            self._pos = start + (3 if trim_next else 2)
            trim = self._action()
        if self._stack:
            self._fail("unexpected EOF")
        return self._root

    def _is_blank(self, pos: int) -> bool:
        return self._source[pos : pos + 1].isspace()

    def _fail(self, reason: str) -> NoReturn:
        line = self._source.count("\n", 0, self._pos) + 1
        raise TemplateError(f"template: :{line}: {reason}")

    def _action(self) -> bool:
        """Read one action; returns whether it trims the text after it."""
        comment = _COMMENT.match(self._source, self._pos)
        if comment:
            self._pos = comment.end()
            return comment[1] is not None
        tokens, trim = self._tokens()
        self._place(tuple(tokens))
        return trim

    def _tokens(self) -> tuple[list[Token], bool]:
        tokens: list[Token] = []
        while True:
            end = _END.match(self._source, self._pos)
            if end:
                self._pos = end.end()
                return tokens, "-" in end[0]
            match = _TOKEN.match(self._source, self._pos)
            if match is None or match.lastgroup is None:
                self._fail(self._trouble())
            self._pos = match.end()
            token = Token(match.lastgroup, match[match.lastgroup])
            if token.kind == "word" and token.text not in _WORDS:
                self._fail(f'function "{token.text}" not defined')
            tokens.append(token)

    def _trouble(self) -> str:
        rest = self._source[self._pos :].lstrip()
        if not rest:
            return "unclosed action"
        if rest[0] in "\"'":
            return "unterminated quoted string"
        return "unterminated raw quoted string" if rest[0] == "`" else f"unexpected {rest[0]!r} in command"

    def _place(self, tokens: tuple[Token, ...]) -> None:
        keyword = tokens[0].text if tokens and tokens[0].kind == "word" else "action"
        if keyword in _NEED_VALUE and len(tokens) == 1:
            self._fail(f"missing value for {keyword}")
        if keyword in _BLOCKS:
            self._open(Node(keyword, tokens=tokens[1:]))
        elif keyword == "end":
            self._close("end")
        elif keyword == "else":
            self._else(tokens[1:])
        elif tokens:
            self._target.append(Node("action", tokens=tokens))
        else:
            self._fail("missing value for command")

    def _open(self, node: Node) -> None:
        self._target.append(node)
        self._stack.append((node, self._target))
        self._target = node.body

    def _close(self, keyword: str) -> None:
        """End the innermost block, and with it the blocks that ``else if`` opened inside it."""
        if not self._stack:
            self._fail(f"unexpected {{{{{keyword}}}}}")
        while True:
            node, self._target = self._stack.pop()
            if not node.text:
                return

    def _else(self, tokens: tuple[Token, ...]) -> None:
        if not self._stack:
            self._fail("unexpected {{else}}")
        self._target = self._stack[-1][0].orelse
        if tokens:
            chained = Node(tokens[0].text, text="chained", tokens=tokens[1:])
            self._open(chained)


def _walk(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(node.body)
        yield from _walk(node.orelse)


def _variables(tokens: tuple[Token, ...]) -> Iterator[str]:
    """Name what an action uses; variables that it only declares are left out."""
    for i, token in enumerate(tokens):
        if token.kind != "chain" or _is_declared(tokens, i):
            continue
        for part in token.text.split("."):
            if part:
                yield part.lower()


def _is_declared(tokens: tuple[Token, ...], i: int) -> bool:
    after = tokens[i + 1].text if i + 1 < len(tokens) and tokens[i + 1].kind == "mark" else ""
    if after in (":=", "="):
        return True
    return after == "," and i + 3 < len(tokens) and tokens[i + 3].text == ":="


def _uses(tokens: tuple[Token, ...], field: str) -> bool:
    return any(token.kind == "chain" and field in token.text.split(".") for token in tokens)


def _find_tags(nodes: list[Node], *, in_messages: bool, tags: list[str]) -> None:
    """Take the first and last texts around ``.Thinking`` in a loop over the messages; the last such place counts."""
    for node in nodes:
        if in_messages and _uses(node.tokens, "Thinking"):
            if not nodes[0].keyword:
                tags[0] = nodes[0].text.strip()
            if not nodes[-1].keyword:
                tags[1] = nodes[-1].text.strip()
        inside = in_messages if node.keyword != "range" else _uses(node.tokens, "Messages")
        _find_tags(node.body, in_messages=inside, tags=tags)
        _find_tags(node.orelse, in_messages=inside, tags=tags)
