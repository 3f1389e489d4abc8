"""What a header says about its model: architecture, size, kind, template."""

from collections import Counter
from enum import Enum

from lcrt.gguf.reader import ArrayRef, Header, Value
from lcrt.gguf.types import FILE_TYPES

ARCHITECTURE = "general.architecture"
FILE_TYPE = "general.file_type"
KIND = "general.type"
NAME = "general.name"
PARAMETER_COUNT = "general.parameter_count"
CHAT_TEMPLATE = "tokenizer.chat_template"
TOKENS = "tokenizer.ggml.tokens"

UNKNOWN = "unknown"


class FileKind(Enum):
    """What a GGUF file is for."""

    MODEL = "model"
    ADAPTER = "adapter"
    PROJECTOR = "projector"


def text(header: Header, key: str) -> str:
    """Read a string value, empty when it is missing or of another type."""
    value = header.metadata.get(key)
    return value if isinstance(value, str) else ""


def number(header: Header, key: str) -> int:
    """Read an integer value, 0 when it is missing or of another type."""
    value: Value | None = header.metadata.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def architecture(header: Header) -> str:
    """Name the architecture, ``unknown`` when the file does not say."""
    return text(header, ARCHITECTURE) or UNKNOWN


def arch_number(header: Header, suffix: str) -> int:
    """Read an integer under a key of the file's own architecture."""
    return number(header, f"{architecture(header)}.{suffix}")


def has_arch_key(header: Header, suffix: str) -> bool:
    """Tell whether the file has a key of its own architecture."""
    return f"{architecture(header)}.{suffix}" in header.metadata


def context_length(header: Header) -> int:
    """Read how many positions the model was trained for, 0 when unknown."""
    return arch_number(header, "context_length")


def embedding_length(header: Header) -> int:
    """Read the width of the model, 0 when unknown."""
    return arch_number(header, "embedding_length")


def parameter_count(header: Header) -> int:
    """Count the numbers in all tensors."""
    return sum(tensor.n_elements for tensor in header.tensors)


def vocabulary_len(header: Header) -> int:
    """Count the tokens, 0 when the file lists none."""
    tokens = header.metadata.get(TOKENS)
    return tokens.count if isinstance(tokens, ArrayRef) else 0


def quantization(header: Header) -> str:
    """Name the file type; without the key, the type that most numbers are stored in."""
    if FILE_TYPE in header.metadata:
        return FILE_TYPES.get(number(header, FILE_TYPE), UNKNOWN)
    counts: Counter[str] = Counter()
    for tensor in header.tensors:
        counts[tensor.type.name] += tensor.n_elements
    return counts.most_common(1)[0][0] if counts else UNKNOWN


def chat_template(header: Header) -> str:
    """Read the file's own Jinja template, empty when it has none."""
    return text(header, CHAT_TEMPLATE)


def has_audio_encoder(header: Header) -> bool:
    """Tell whether a model or a projector file encodes audio."""
    if header.metadata.get("clip.has_audio_encoder") is True:
        return text(header, "clip.projector_type") != "gemma3nv"
    return has_arch_key(header, "audio.block_count")


def kind(header: Header) -> FileKind:
    """Tell a model from an adapter and from a projector."""
    declared = text(header, KIND)
    if declared == "adapter":
        return FileKind.ADAPTER
    if declared in ("projector", "mmproj"):
        return FileKind.PROJECTOR
    if has_arch_key(header, "vision.block_count") and not has_arch_key(header, "block_count"):
        return FileKind.PROJECTOR
    encoders = ("clip.has_vision_encoder", "clip.has_audio_encoder", "clip.has_text_encoder")
    if architecture(header) == "clip" and any(header.metadata.get(key) is True for key in encoders):
        return FileKind.PROJECTOR
    return FileKind.MODEL
