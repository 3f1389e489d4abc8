"""What is known of models by their template or architecture: the strings that end a turn, how to render and parse.

A family of plain chat templates is told by its turn markers.
"""

import msgspec

_MAX_LEN = 1500


class Family(msgspec.Struct, frozen=True):
    """A way to mark turns; a template belongs to it when it has all ``markers``."""

    name: str
    markers: tuple[str, ...]
    stop: tuple[str, ...]


_FAMILIES = (
    Family("chatml", ("<|im_start|>", "<|im_end|>"), ("<|im_start|>", "<|im_end|>")),
    Family(
        "llama3-instruct",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    Family("gemma-instruct", ("<start_of_turn>", "<end_of_turn>"), ("<start_of_turn>", "<end_of_turn>")),
    Family(
        "command-r",
        ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    ),
    Family("phi-3", ("<|end|>", "<|user|>", "<|assistant|>"), ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")),
    Family("llama2-chat", ("[INST]", "[/INST]", "<<SYS>>"), ("[INST]", "[/INST]", "<<SYS>>")),
)


def detect_family(jinja: str) -> Family | None:
    """Recognise a plain template; one that is long or knows tools has rules of its own and is none."""
    if len(jinja) > _MAX_LEN or "tool" in jinja:
        return None
    return next((family for family in _FAMILIES if all(marker in jinja for marker in family.markers)), None)


class Usual(msgspec.Struct, frozen=True):
    """What a model of some architecture gets where its maker says nothing."""

    renderer: str = ""
    parser: str = ""
    stop: tuple[str, ...] = ()


_NEMOTRON = Usual("nemotron-3-nano", "nemotron-3-nano")
_USUAL = {
    "gemma4": Usual("gemma4", "gemma4", ("<turn|>",)),
    "laguna": Usual("laguna", "laguna"),
    "nemotron_h": _NEMOTRON,
    "nemotron_h_moe": _NEMOTRON,
    "nemotron_h_omni": _NEMOTRON,
}


def usual(architecture: str) -> Usual:
    """Name what is usual for an architecture, by its name in GGUF; for most that is nothing."""
    return _USUAL.get(architecture, Usual())
