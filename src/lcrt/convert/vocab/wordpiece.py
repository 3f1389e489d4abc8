"""WordPiece vocabularies, as BERT has them.

In the source a continuation of a word is marked; in GGUF the beginning is, as in vocabularies of SentencePiece.
"""

from pathlib import Path

import msgspec

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.convert.jsonfile import read_object
from lcrt.convert.vocab.tokenizer_json import FILE_NAME, Model, TokenizerFile, read_tokenizer, steps
from lcrt.convert.vocab.tokens import Tokens, TokenType
from lcrt.errors import InvalidRequest, UnsupportedModel

_LINES = "vocab.txt"
_SETTINGS = "tokenizer_config.json"
_KIND = "WordPiece"
_LINES_MAX = 64 << 20
_BEGIN = "\u2581"
_CONTINUED = "##"
_ROLES = {"bos": "cls", "eos": "sep", "seperator": "sep", "unknown": "unk", "padding": "pad", "mask": "mask"}
"""Names in the engine's keys (its spelling too) and in the tokenizer's settings."""
_NEEDED = ("cls", "sep", "unk")


class _Special(msgspec.Struct, frozen=True):
    content: str


class _Settings(msgspec.Struct, frozen=True):
    do_lower_case: bool = True
    strip_accents: bool | None = None
    cls_token: str | _Special | None = None
    sep_token: str | _Special | None = None
    unk_token: str | _Special | None = None
    pad_token: str | _Special | None = None
    mask_token: str | _Special | None = None

    def special(self, name: str) -> str:
        """The text of a special token."""
        value = getattr(self, f"{name}_token")
        return f"[{name.upper()}]" if value is None else value.content if isinstance(value, _Special) else value


def of_words(folder: Path, config: Config) -> Metadata:
    """Make the keys of a WordPiece tokenizer. InvalidRequest when its files are missing or damaged."""
    tokenizer, settings = read_tokenizer(folder), _read_settings(folder / _SETTINGS)
    texts = _of_lines(folder / _LINES) if tokenizer is None else _of_model(tokenizer.model)
    marked = {settings.special(name) for name in _ROLES.values()}
    marked |= {added.content for added in (tokenizer.added_tokens if tokenizer else ()) if added.special}
    tokens = Tokens(config.size("vocab_size"))
    if len(tokens.texts) < len(texts):
        raise config.wrong(f"there are {len(texts)} tokens and vocab_size is {len(tokens.texts)}")
    for number, text in enumerate(texts):
        is_marked = text in marked
        tokens.put(number, text if is_marked else _turned(text), TokenType.CONTROL if is_marked else TokenType.NORMAL)
    return {
        **tokens.keys("bert", "default", scored=False),
        "tokenizer.ggml.token_type_count": config.size("type_vocab_size", 1),
        **_numbers(tokens, settings),
        **_normalizer(tokenizer, settings),
    }


def _turned(token: str) -> str:
    return token.removeprefix(_CONTINUED) if token.startswith(_CONTINUED) else _BEGIN + token


def _numbers(tokens: Tokens, settings: _Settings) -> Metadata:
    """Number the tokens that have a role."""
    found: Metadata = {}
    for role, name in _ROLES.items():
        number = tokens.index(settings.special(name))
        if number is not None:
            found[f"tokenizer.ggml.{role}_token_id"] = number
        elif name in _NEEDED:
            raise InvalidRequest(f"the tokenizer cannot be used: it has no token {settings.special(name)}")
    return found


def _normalizer(tokenizer: TokenizerFile | None, settings: _Settings) -> Metadata:
    """Tell whether capitals and accents count."""
    lowercase, strip = settings.do_lower_case, settings.strip_accents
    for step in steps(tokenizer.normalizer if tokenizer else None, "normalizers"):
        if step.get("type") == "BertNormalizer":
            told = Config(step, FILE_NAME)
            lowercase = told.flag("lowercase", default=False)
            strip = told.flag("strip_accents") if told.has("strip_accents") else None
    return {
        "tokenizer.ggml.normalizer.lowercase": lowercase,
        "tokenizer.ggml.normalizer.strip_accents": lowercase if strip is None else strip,
    }


def _of_model(model: Model) -> list[str]:
    """List the vocabulary of tokenizer.json, which must number its tokens from 0 on."""
    if (model.kind or _KIND) != _KIND:
        raise UnsupportedModel(f"a tokenizer of type {model.kind} is not supported for this architecture")
    if model.continuing_subword_prefix not in (None, _CONTINUED):
        raise UnsupportedModel(f"{_KIND} with another mark than `{_CONTINUED}` is not supported")
    by_number = {number: token for token, number in model.ids.items()}
    if by_number.keys() != set(range(len(model.ids))):
        raise InvalidRequest(f"`{FILE_NAME}` cannot be used: its tokens are not numbered one after the other")
    return [by_number[number] for number in range(len(by_number))]


def _of_lines(path: Path) -> list[str]:
    """Read the vocabulary of the older form: a token on each line."""
    if not path.is_file():
        raise InvalidRequest(
            f"there is neither `{FILE_NAME}` nor `{_LINES}` in the folder", "copy all of the model's files"
        )
    if path.stat().st_size > _LINES_MAX:
        raise InvalidRequest(f"`{_LINES}` is larger than {_LINES_MAX >> 20} MiB")
    try:
        return path.read_bytes().decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"`{_LINES}` is no UTF-8 text") from error


def _read_settings(path: Path) -> _Settings:
    try:
        return msgspec.convert(read_object(path), _Settings)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"`{path.name}` cannot be used: {error}") from error
