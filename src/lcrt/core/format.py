"""What an answer must look like, independent of the dialect that asked for it."""

from typing import Literal

import msgspec

FormatKind = Literal["json", "schema", "regex", "lark", "gbnf", "choice"]


class Format(msgspec.Struct, frozen=True, array_like=True):
    """What kind, and its text.

    ``json`` is any JSON object and has no text; ``schema`` has that of a JSON schema, ``choice`` a JSON
    list of the texts to choose from.
    """

    kind: FormatKind
    text: str = ""
