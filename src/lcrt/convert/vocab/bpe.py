"""Byte-pair tokenizers over bytes written as letters, as GPT-2 began it."""

from pathlib import Path

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.convert.vocab.special import special_keys
from lcrt.convert.vocab.splitting import rule_name
from lcrt.convert.vocab.tokenizer_json import FILE_NAME, TokenizerFile, steps
from lcrt.convert.vocab.tokens import Tokens, TokenType
from lcrt.errors import InvalidRequest
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Typed

_PARTS = 2
_SPACE = "\u0120"


def is_byte_level(tokenizer: TokenizerFile) -> bool:
    """Tell whether tokens are bytes written as letters."""
    parts = [
        *steps(tokenizer.pre_tokenizer, "pretokenizers"),
        *steps(tokenizer.decoder, "decoders"),
    ]
    return tokenizer.model.kind == "BPE" and any(step.get("type") == "ByteLevel" for step in parts)


def byte_pairs(folder: Path, config: Config, tokenizer: TokenizerFile) -> Metadata:
    """Make the keys of such a tokenizer."""
    tokens = Tokens(config.size("vocab_size", len(tokenizer.model.ids) + len(tokenizer.added_tokens)))
    for text, index in tokenizer.model.ids.items():
        tokens.put(index, text, TokenType.NORMAL)
    for token in tokenizer.added_tokens:
        tokens.add(token.id, token.content, special=token.special)
    merges = [_merge(merge) for merge in tokenizer.model.merges]
    return {
        **tokens.keys("gpt2", rule_name(tokenizer), scored=False),
        "tokenizer.ggml.merges": Typed(ValueType.STRING, merges),
        **special_keys(folder, config, tokens, tokenizer),
    }


def _merge(merge: str | tuple[str, str]) -> str:
    """Write a merge as two parts with a space between; a space inside one is its letter."""
    if isinstance(merge, tuple):
        return " ".join(part.replace(" ", _SPACE) for part in merge)
    if len(merge.split(" ")) != _PARTS:
        raise InvalidRequest(f"`{FILE_NAME}` cannot be read: `{merge}` is no merge of two parts")
    return merge
