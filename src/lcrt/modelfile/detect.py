"""Families of plain chat templates, told by their turn markers, and the strings that end a turn."""

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
