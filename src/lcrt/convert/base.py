"""What a GGUF says of the configuration that it was made of, as far as names and order of tensors follow from it."""

from lcrt.convert.config import ARCHITECTURES, Config
from lcrt.convert.families import FAMILIES
from lcrt.convert.family import Family
from lcrt.errors import UnsupportedModel
from lcrt.gguf import keys
from lcrt.gguf.reader import Header

_OUTPUT = "output.weight"
_SUFFIXES = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
}
_OTHER_NAMES = {"hidden_size": "n_embd", "intermediate_size": "n_inner", "num_hidden_layers": "n_layer"}


def family_of(header: Header) -> Family:
    """Find the family whose GGUF architecture this is. UnsupportedModel lists what there is."""
    name = keys.architecture(header)
    for family in FAMILIES:
        if family.architecture == name:
            return family
    known = ", ".join(dict.fromkeys(family.architecture for family in FAMILIES))
    raise UnsupportedModel(f"adapters for models of the architecture {name} cannot be converted", f"known are {known}")


def config_of(header: Header, family: Family) -> Config:
    """Make the part of ``config.json`` that the family's tensors need."""
    found: dict[str, object] = {name: keys.arch_number(header, suffix) or None for name, suffix in _SUFFIXES.items()}
    found |= {other: found[name] for name, other in _OTHER_NAMES.items()}
    return Config(
        {
            ARCHITECTURES: [family.sources[0]],
            **found,
            "vocab_size": keys.vocabulary_len(header) or None,
            "tie_word_embeddings": all(tensor.name != _OUTPUT for tensor in header.tensors),
        },
        header.path.name,
    )
