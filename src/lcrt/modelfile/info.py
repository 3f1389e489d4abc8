"""The ``info`` of a create request: facts that the maker of a model states."""

from collections.abc import Mapping

import msgspec

from lcrt.errors import InvalidRequest
from lcrt.store.layers import ModelConfig
from lcrt.units import human_number


def apply_info(config: ModelConfig, info: Mapping[str, object]) -> ModelConfig:
    """Let the stated facts win over those in the config; InvalidRequest for a wrong type."""
    return msgspec.structs.replace(
        config,
        model_family=_text(info, "model_family") or config.model_family,
        base_name=_text(info, "base_name") or config.base_name,
        file_type=_text(info, "quantization_level") or config.file_type,
        model_type=_size(info, "parameter_size") or config.model_type,
        context_length=_length(info, "context_length") or config.context_length,
        embedding_length=_length(info, "embedding_length") or config.embedding_length,
        capabilities=_texts(info, "capabilities") or config.capabilities,
    )


def _text(info: Mapping[str, object], field: str) -> str:
    match info.get(field):
        case None:
            return ""
        case str() as text:
            return text
    raise InvalidRequest(f'info field "{field}" must be a string')


def _size(info: Mapping[str, object], field: str) -> str:
    match info.get(field):
        case bool():
            return _text(info, field)
        case int() | float() as number:
            return human_number(int(number))
    return _text(info, field)


def _length(info: Mapping[str, object], field: str) -> int:
    match info.get(field):
        case None:
            return 0
        case int() | float() as number if not isinstance(number, bool):
            if number < 0 or number != int(number):
                raise InvalidRequest(f'info field "{field}" must be a non-negative integer')
            return int(number)
    raise InvalidRequest(f'info field "{field}" must be a number')


def _texts(info: Mapping[str, object], field: str) -> tuple[str, ...]:
    match info.get(field):
        case None:
            return ()
        case list() | tuple() as texts if all(isinstance(text, str) for text in texts):
            return tuple(texts)
    raise InvalidRequest(f'info field "{field}" must be a list of strings')
