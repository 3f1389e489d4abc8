"""Tokenizers of SentencePiece that merge pairs: of its own file, or of a ``tokenizer.json`` made of one."""

import re
from pathlib import Path
from typing import Any

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.convert.jsonfile import read_object
from lcrt.convert.vocab.pieces import BYTE_PAIRS, FILE_NAME, PieceModel, read_pieces
from lcrt.convert.vocab.special import TOKENIZER_CONFIG, special_keys
from lcrt.convert.vocab.tokenizer_json import TokenizerFile, pattern, steps
from lcrt.convert.vocab.tokens import Tokens, TokenType
from lcrt.errors import InvalidRequest, UnsupportedModel

_MODEL = "llama"
_PRE = "default"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPACE = "\u2581"
_ADDED = "added_tokens.json"
_LEN_MAX = 512
"""Letters of a token. Published ones have under a hundred; every way to part one is looked at."""
_KEPT = (TokenType.UNKNOWN, TokenType.BYTE)
"""Types that a token keeps though it is listed among the added ones."""


def of_pieces(folder: Path, config: Config, tokenizer: TokenizerFile | None) -> Metadata:
    """Make the keys of ``tokenizer.model``; ``tokenizer.json`` may say more of it."""
    model = read_pieces(folder / FILE_NAME)
    if model.kind != BYTE_PAIRS:
        raise UnsupportedModel("the tokenizer cannot be converted: its SentencePiece model does not merge pairs")
    tokens = Tokens(config.size("vocab_size", len(model.pieces)))
    for i, piece in enumerate(model.pieces):
        kind = _kind(piece.type)
        text = piece.text.replace(_SPACE, " ") if kind is TokenType.USER_DEFINED else piece.text
        tokens.put(i, text, kind, piece.score)
    prefix = model.add_dummy_prefix if tokenizer is None else _adds_space(tokenizer)
    return _keys(folder, config, tokens, tokenizer, prefix=prefix) | _missing_ids(folder, model)


def of_merges(folder: Path, config: Config, tokenizer: TokenizerFile) -> Metadata:
    """Make the keys of a ``tokenizer.json`` whose merges were made of the scores of pieces."""
    ids = tokenizer.model.ids
    tokens = Tokens(config.size("vocab_size", len(ids) + len(tokenizer.added_tokens)))
    ranks = _ranks(tokenizer)
    unknown = next((token.content for token in tokenizer.added_tokens if token.content == "<unk>"), "<unk>")
    for text, index in ids.items():
        kind = TokenType.BYTE if _BYTE.fullmatch(text) else TokenType.NORMAL
        tokens.put(index, text, TokenType.UNKNOWN if text == unknown else kind, -float(ranks.get(text, 0)))
    return _keys(folder, config, tokens, tokenizer, prefix=_adds_space(tokenizer))


def _keys(folder: Path, config: Config, tokens: Tokens, tokenizer: TokenizerFile | None, *, prefix: bool) -> Metadata:
    told = read_object(folder / TOKENIZER_CONFIG)
    for text, index in read_object(folder / _ADDED).items():
        _add(tokens, index, text, special=False)
    decoder = told.get("added_tokens_decoder")
    for index, entry in (decoder if isinstance(decoder, dict) else {}).items():
        if isinstance(entry, dict) and index.isdecimal() and isinstance(entry.get("content"), str):
            _add(tokens, int(index), entry["content"], special=entry.get("special") is True)
    for token in tokenizer.added_tokens if tokenizer else ():
        _add(tokens, token.id, token.content, special=token.special)
    return {
        **tokens.keys(_MODEL, _PRE, scored=True),
        "tokenizer.ggml.add_space_prefix": prefix,
        **_put_around_unless_told(told, tokenizer),
        **special_keys(folder, config, tokens, tokenizer),
    }


def _add(tokens: Tokens, index: object, text: str, *, special: bool) -> None:
    """Set an added token, which may be one of the model's own, told once more."""
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise InvalidRequest(f"the token `{text}` has no usable number")
    if index < len(tokens.types) and not (tokens.types[index] in _KEPT and tokens.texts[index] == text):
        tokens.add(index, text, special=special)


def _put_around_unless_told(told: dict[str, Any], tokenizer: TokenizerFile | None) -> Metadata:
    """Such a tokenizer begins every text with a token of its own unless something says otherwise."""
    if tokenizer is not None or "add_bos_token" in told:
        return {}
    return {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False}


def _missing_ids(folder: Path, model: PieceModel) -> Metadata:
    """Number the special tokens by the model itself where no file beside it names any."""
    if (folder / TOKENIZER_CONFIG).is_file():
        return {}
    ids = {"unknown": model.unk, "bos": model.bos, "eos": model.eos, "padding": model.pad}
    return {f"tokenizer.ggml.{name}_token_id": index for name, index in ids.items() if index >= 0}


def _kind(number: int) -> TokenType:
    try:
        return TokenType(number)
    except ValueError as error:
        raise InvalidRequest(f"`{FILE_NAME}` is damaged: a piece has the unknown type {number}") from error


def _ranks(tokenizer: TokenizerFile) -> dict[str, int]:
    """Number the merged tokens in the order of their merges.

    The engine merges any two neighbours that together are a token, the best token first. That is what
    the merges say only when they hold every way to make a token, and all ways to make one in a row. Runs of
    one letter, as spaces, are an exception: the longest comes out either way.
    """
    ids = tokenizer.model.ids
    added = {token.content for token in tokenizer.added_tokens}
    ranks: dict[str, int] = {}
    pairs: set[tuple[str, str]] = set()
    before = ""
    for merge in tokenizer.model.merges:
        first, second = merge if isinstance(merge, tuple) else _parted(merge)
        text = first + second
        if text != before and text in ranks and len(set(text)) > 1:
            raise _not_of_pieces()
        ranks.setdefault(text, len(ranks) + 1)
        pairs.add((first, second))
        before = text
    for text in ids:
        if text in added or _BYTE.fullmatch(text):
            continue
        if len(text) > _LEN_MAX:
            raise UnsupportedModel(f"the tokenizer cannot be converted: it has a token of {len(text)} letters")
        for at in range(1, len(text)):
            pair = text[:at], text[at:]
            if pair[0] in ids and pair[1] in ids and pair not in pairs:
                raise _not_of_pieces()
    return ranks


def _parted(merge: str) -> tuple[str, str]:
    first, _, second = merge.partition(" ")
    if not first or not second or " " in second:
        raise InvalidRequest(f"`tokenizer.json` cannot be read: `{merge}` is no merge of two parts")
    return first, second


def _not_of_pieces() -> UnsupportedModel:
    return UnsupportedModel("the tokenizer cannot be converted: its merges are not those of a SentencePiece model")


def _adds_space(tokenizer: TokenizerFile) -> bool:
    """Tell whether a space is put before a text; refuse what the engine would not do to it."""
    found = False
    for step in steps(tokenizer.normalizer, "normalizers"):
        match step.get("type"):
            case "Prepend" if step.get("prepend") == _SPACE:
                found = True
            case "Replace" if pattern(step, "String") == " " and step.get("content") == _SPACE:
                pass
            case "NFC":
                pass
            case other:
                raise UnsupportedModel(f"the tokenizer cannot be converted: it changes text by {other} first")
    for step in steps(tokenizer.pre_tokenizer, "pretokenizers"):
        match step.get("type"):
            case "Metaspace" if step.get("replacement", _SPACE) == _SPACE:
                found |= step.get("prepend_scheme", "always") != "never" and step.get("add_prefix_space") is not False
            case "Split" if pattern(step, "String") == " ":
                pass
            case other:
                raise UnsupportedModel(f"the tokenizer cannot be converted: it cuts words by {other}")
    return found
