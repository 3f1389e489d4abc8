"""What tokens are special, whether they are put around a text, and the chat template."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.convert.jsonfile import read_object
from lcrt.convert.vocab.tokenizer_json import TokenizerFile, steps
from lcrt.convert.vocab.tokens import Tokens
from lcrt.errors import InvalidRequest
from lcrt.gguf import keys
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Typed

TOKENIZER_CONFIG = "tokenizer_config.json"
_GENERATION = "generation_config.json"
_TEMPLATE_MAX = 4 << 20
_KEYS = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",
    "pad": "padding_token_id",
    "mask": "mask_token_id",
}
"""Names in the source and in GGUF, where one is misspelt for good."""
_MORE_ENDS = ("eot_token_id", "eom_token_id")


def special_keys(folder: Path, config: Config, tokens: Tokens, tokenizer: TokenizerFile | None) -> Metadata:
    """Make the keys of special tokens and of the template."""
    told = read_object(folder / TOKENIZER_CONFIG)
    found: Metadata = {}
    ids = _ids(told, config, tokens, tokenizer)
    for name, index in ids.items():
        found[f"tokenizer.ggml.{_KEYS[name]}"] = index
    ends = [end for end in _ends(folder, config) if end < len(tokens.texts)]
    if ends and "eos" not in ids:
        found["tokenizer.ggml.eos_token_id"] = ends[0]
    others = [end for end in ends if end not in (found.get("tokenizer.ggml.eos_token_id"), ids.get("bos"))]
    found |= {f"tokenizer.ggml.{key}": end for key, end in zip(_MORE_ENDS, others, strict=False)}
    found |= _put_around(told, tokenizer, ids, tokens)
    return found | _templates(folder, told)


def _ids(told: dict[str, Any], config: Config, tokens: Tokens, tokenizer: TokenizerFile | None) -> dict[str, int]:
    """Number the special tokens that the tokenizer's config names, else those that the model's config numbers."""
    added = {token.content: token.id for token in tokenizer.added_tokens} if tokenizer else {}
    found: dict[str, int] = {}
    for name in _KEYS:
        text = _text(told.get(f"{name}_token")) or _text(told.get({"bos": "cls_token", "eos": ""}.get(name, "")))
        index = added.get(text, tokens.index(text)) if text else None
        if index is None and not isinstance(config.raw(f"{name}_token_id"), list):
            index = config.count(f"{name}_token_id") if config.has(f"{name}_token_id") else None
        if index is not None and 0 <= index < len(tokens.texts):
            found[name] = index
    return found


def _text(value: object) -> str:
    """Read a token's text, which may stand alone or in an object."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else ""


def _ends(folder: Path, config: Config) -> list[int]:
    """Number every token that ends an answer."""
    generation = read_object(folder / _GENERATION).get("eos_token_id")
    value = generation if generation is not None else config.raw("eos_token_id")
    values = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(v for v in values if isinstance(v, int) and not isinstance(v, bool) and v >= 0))


def _put_around(told: dict[str, Any], tokenizer: TokenizerFile | None, ids: dict[str, int], tokens: Tokens) -> Metadata:
    """Tell whether the tokenizer puts a token before or behind a text: as it does it, else as its config says."""
    found: dict[str, bool] = {}
    for name in ("bos", "eos"):
        value = told.get(f"add_{name}_token")
        if isinstance(value, bool):
            found[name] = value
    if tokenizer is not None:
        found |= _processed(tokenizer, ids, tokens)
    return {f"tokenizer.ggml.add_{name}_token": value and name in ids for name, value in found.items()}


def _processed(tokenizer: TokenizerFile, ids: dict[str, int], tokens: Tokens) -> dict[str, bool]:
    """Read what the last step of the tokenizer puts around a single text."""
    found: dict[str, bool] = {}
    for step in steps(tokenizer.post_processor, "processors"):
        if step.get("type") == "ByteLevel":
            found = {"bos": False, "eos": False, **found}
        elif step.get("type") == "TemplateProcessing":
            around = [_special(part) for part in step.get("single", []) if isinstance(part, dict)]
            if not around:
                continue
            found["bos"] = around[0] != "" and tokens.index(around[0]) == ids.get("bos")
            found["eos"] = around[-1] != "" and tokens.index(around[-1]) == ids.get("eos")
    return found


def _special(part: dict[str, Any]) -> str:
    token = part.get("SpecialToken")
    return _text(token.get("id")) if isinstance(token, dict) else ""


def _templates(folder: Path, told: dict[str, Any]) -> Metadata:
    """Find the chat template, and those that are kept beside it under names."""
    named = dict(_named(told.get("chat_template")))
    if not named:
        named = dict(_named(read_object(folder / "chat_template.json").get("chat_template")))
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        if alone.stat().st_size > _TEMPLATE_MAX:
            raise InvalidRequest(f"`{alone.name}` is larger than {_TEMPLATE_MAX >> 20} MiB")
        named = {"default": alone.read_text("utf-8", "replace"), **{k: v for k, v in named.items() if k != "default"}}
    found: Metadata = {keys.CHAT_TEMPLATE: named.pop("default")} if "default" in named else {}
    for name, text in named.items():
        found[f"{keys.CHAT_TEMPLATE}.{name}"] = text
    if named:
        found["tokenizer.chat_templates"] = Typed(ValueType.STRING, sorted(named))
    return found


def _named(value: object) -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        yield "default", value
    for entry in value if isinstance(value, list) else ():
        name, text = (entry.get("name"), entry.get("template")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(text, str) and name.replace("_", "").isalnum():
            yield name, text
