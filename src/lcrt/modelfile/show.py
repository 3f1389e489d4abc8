"""What ``show`` tells beyond a description: the Modelfile, parameters as text, keys and tensors of the GGUF."""

import json
from collections.abc import Mapping

import msgspec

from lcrt.gguf import keys
from lcrt.gguf.reader import ArrayRef, Header
from lcrt.modelfile.describe import Description
from lcrt.modelfile.parameters import flatten
from lcrt.modelfile.parse import Command, write_modelfile
from lcrt.modelfile.template import PLAIN_TEMPLATE

_HIDDEN = frozenset({keys.NAME, keys.CHAT_TEMPLATE})
_HEAD = '# Modelfile written by "lcrt show"\n# To build on this model, put this in place of FROM:\n# FROM {}\n\n'


class TensorRow(msgspec.Struct, frozen=True):
    """One tensor as ``show`` lists it."""

    name: str
    type: str
    shape: tuple[int, ...]


def shown_template(description: Description) -> str:
    """Pick the template's text; a model without one just gets the prompt."""
    return description.template or PLAIN_TEMPLATE


def parameters_text(parameters: Mapping[str, object]) -> str:
    """Write a line for each value: the name in 30 columns, strings in double quotes."""
    return "\n".join(f"{name:<30} {_literal(value)}" for name, value in flatten(parameters))


def modelfile_text(description: Description, system: str = "", options: Mapping[str, object] | None = None) -> str:
    """Write the Modelfile that would make this model again, with another system text or further options.

    The template of a GGUF stays there: as a TEMPLATE it would be read as one in Go's language.
    """
    fixed = [("model", description.model or description.name.short)]
    fixed += [("adapter", path) for path in description.adapters]
    fixed += [("draft", description.draft)] if description.draft else []
    fixed += [("model", path) for path in description.projectors]
    if description.go_template or not description.jinja_template:
        fixed.append(("template", description.go_template or PLAIN_TEMPLATE))
    optional = {
        "system": system or description.system,
        "renderer": description.config.renderer or "",
        "parser": description.config.parser or "",
        "requires": description.config.requires or "",
    }
    commands = [Command(name, args) for name, args in fixed]
    commands += [Command(name, args) for name, args in optional.items() if args]
    commands += [Command(name, _plain(value)) for name, value in flatten(description.parameters | dict(options or {}))]
    commands += [Command("license", text) for text in description.license]
    commands += [Command("message", f"{message.role}: {message.content}") for message in description.messages]
    return _HEAD.format(description.name.short) + write_modelfile(tuple(commands))


def model_info(header: Header, *, verbose: bool) -> dict[str, object]:
    """List the metadata by key; arrays are None unless ``verbose``."""
    info: dict[str, object] = {
        key: (header.array(key) if verbose else None) if isinstance(value, ArrayRef) else value
        for key, value in header.metadata.items()
        if key not in _HIDDEN
    }
    info[keys.PARAMETER_COUNT] = keys.parameter_count(header)
    return dict(sorted(info.items()))


def tensors(header: Header) -> list[TensorRow]:
    """List the tensors as the file has them."""
    return [TensorRow(tensor.name, tensor.type.name, tensor.shape) for tensor in header.tensors]


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _literal(value)
