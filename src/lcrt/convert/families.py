"""Every family that can be converted."""

from lcrt.convert.bert import BERT
from lcrt.convert.config import ARCHITECTURES, Config
from lcrt.convert.family import Family
from lcrt.convert.gemma import GEMMA2, GEMMA3
from lcrt.convert.llama import LLAMA
from lcrt.convert.nomic_bert import NOMIC_BERT
from lcrt.convert.phi import PHI3
from lcrt.convert.qwen import QWEN2, QWEN3
from lcrt.errors import UnsupportedModel

FAMILIES: tuple[Family, ...] = (LLAMA, QWEN2, QWEN3, GEMMA2, GEMMA3, PHI3, BERT, NOMIC_BERT)


def supported() -> tuple[str, ...]:
    """Name every architecture that can be converted, as ``config.json`` calls it."""
    return tuple(sorted(source for family in FAMILIES for source in family.sources))


def find_family(config: Config) -> Family:
    """Find the family of the first architecture that the config names; UnsupportedModel lists what there is."""
    names = config.texts(ARCHITECTURES, ())
    if not names:
        raise UnsupportedModel("unknown architecture", f"`config.json` must name one of {', '.join(supported())}")
    for family in FAMILIES:
        if names[0] in family.sources:
            return family
    raise UnsupportedModel(f'unsupported architecture "{names[0]}"', f"supported are {', '.join(supported())}")
