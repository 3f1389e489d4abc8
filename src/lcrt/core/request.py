"""What clients ask for, independent of the dialect."""

from typing import TypeAlias

import msgspec

from lcrt.core.format import Format
from lcrt.core.message import Message
from lcrt.core.options import Options

Applied: TypeAlias = tuple[tuple[str, float], ...] | None
"""Files with changes of the weights and how strongly each is applied, in place of the model's own; None: these."""


class InferenceRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One generation. Exactly one of ``messages`` and ``prompt`` is given.

    ``prompt`` is text for the tokenizer as it is; ``messages`` are rendered through the model's
    template by the runner. ``context`` is put in front of the rendered prompt, as text.
    ``suffix`` makes ``prompt`` the text before a gap that is to be filled, and stands behind it.
    ``template`` is the model's Go template, empty when the one of its file speaks for it.
    ``tools`` is a JSON text, ``format`` what the answer must look like. ``n_logprobs``: -1 none,
    0 the token's own, n also the n best alternatives. ``adapters``: see ``Applied``.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    suffix: str = ""
    template: str = ""
    context: tuple[int, ...] = ()
    tools: bytes | None = None
    format: Format | None = None
    think: bool | str | None = None
    options: Options = Options()
    truncate: bool = True
    shift: bool = True
    n_logprobs: int = -1
    adapters: Applied = None
    want_context: bool = False
    render_only: bool = False


class CreateRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model to be made; ``files``, ``adapters`` and ``draft_files`` map file names to digests, ``imatrix`` is one."""

    model: str
    from_: str = ""
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    draft_files: dict[str, str] | None = None
    quantize: str = ""
    imatrix: str = ""
    draft_quantize: str = ""
    template: str = ""
    system: str = ""
    license: tuple[str, ...] = ()
    parameters: dict[str, object] = {}
    messages: tuple[Message, ...] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    info: dict[str, object] = {}
