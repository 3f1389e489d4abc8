"""The sections of ``show``: titles two columns in, rows four, columns four apart."""

import math
from collections.abc import Iterable, Sequence

from lcrt.cli.output.table import lines
from lcrt.client.wire import Shown
from lcrt.units import human_number

Rows = Sequence[Sequence[str]]

_ARRAY_WIDTH = 20
_TEXT_LINES = 2


def describe(shown: Shown, *, verbose: bool = False) -> str:
    """Lay out all sections that have something to say."""
    info, projector = shown.model_info or {}, shown.projector_info or {}
    sections: list[tuple[str, Rows]] = [
        ("Model", _model(shown, info)),
        ("Capabilities", [[name] for name in shown.capabilities or []]),
        ("Projector", _projector(projector)),
        ("Parameters", [_split(line) for line in shown.parameters.splitlines() if line.strip()]),
    ]
    if verbose:
        sections += [
            ("Metadata", [[key, _value(info[key])] for key in sorted(info)]),
            ("Tensors", [[tensor.name, tensor.type, f"{tensor.shape}"] for tensor in shown.tensors or []]),
        ]
    sections += [("System", _beginning(shown.system)), ("License", _beginning(shown.license))]
    return "".join(_section(title, rows) for title, rows in sections if rows)


def _section(title: str, rows: Rows) -> str:
    return f"  {title}\n{lines(rows, '    ')}\n"


def _model(shown: Shown, info: dict[str, object]) -> Rows:
    architecture = str(info.get("general.architecture") or shown.details.family or "")
    size = shown.details.parameter_size or _count(info.get("general.parameter_count"))
    return _known(
        ("Remote model", shown.remote_model),
        ("Remote URL", shown.remote_host),
        ("architecture", architecture),
        ("parameters", size),
        ("context length", _number(info.get(f"{architecture}.context_length"))),
        ("embedding length", _number(info.get(f"{architecture}.embedding_length"))),
        ("quantization", shown.details.quantization_level),
        ("requires", shown.requires),
    )


def _projector(info: dict[str, object]) -> Rows:
    architecture = str(info.get("general.architecture") or "")
    return _known(
        ("architecture", architecture),
        ("parameters", _count(info.get("general.parameter_count"))),
        ("embedding length", _number(info.get(f"{architecture}.vision.embedding_length"))),
        ("dimensions", _number(info.get(f"{architecture}.vision.projection_dim"))),
    )


def _known(*rows: tuple[str, str | None]) -> Rows:
    return [(name, value) for name, value in rows if value]


def _split(line: str) -> Sequence[str]:
    name, _, value = line.strip().partition(" ")
    return name, value.strip()


def _count(value: object) -> str:
    return human_number(int(value)) if isinstance(value, (int, float)) else ""


def _number(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, (int, float)) else ""


def _value(value: object) -> str:
    if isinstance(value, list):
        return _array([_value(item) for item in value])
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < math.pow(10, 15) else f"{value:g}"
    return "" if value is None else " ".join(str(value).split())


def _array(items: list[str]) -> str:
    """Show the first items, as many as fit, and how many more there are."""
    shown: list[str] = []
    for item in items:
        if shown and len(", ".join([*shown, item])) > _ARRAY_WIDTH:
            break
        shown.append(item)
    more = len(items) - len(shown)
    return f"[{', '.join(shown)} ...+{more} more]" if more else f"[{', '.join(shown)}]"


def _beginning(text: str) -> Rows:
    written: Iterable[str] = (line.strip() for line in text.splitlines() if line.strip())
    kept = list(written)
    return [[line] for line in kept[:_TEXT_LINES]] + ([["..."]] if len(kept) > _TEXT_LINES else [])
