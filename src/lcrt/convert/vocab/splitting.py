"""How byte-pair tokenizers cut text into words first: rules by the names that the engine has for them.

A name stands for expressions that are built into the engine. A tokenizer whose own expressions are
not in the table would be another one in the engine, so it is refused.
"""

import msgspec

from lcrt.convert.vocab.tokenizer_json import Step, TokenizerFile, pattern, steps
from lcrt.errors import UnsupportedModel

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_MARKS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = (rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+", rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*")
_CASED_MARKS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

_DIGIT = r"\p{N}"
_OLD = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_BY_THREE = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}|{_MARKS}|{_TAIL}"
_BY_ONE = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}|{_MARKS}|{_TAIL}"
_MARKED = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_TAIL}"
)
_TEKKEN = rf"{_CASED[0]}|{_CASED[1]}|\p{{N}}|{_CASED_MARKS}|{_TAIL}"
_O200K = rf"{_CASED[0]}{_CONTRACTIONS}?|{_CASED[1]}{_CONTRACTIONS}?|\p{{N}}{{1,3}}|{_CASED_MARKS}|{_TAIL}"
_SEED = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_TAIL}"
_DEEPSEEK_WORD = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"""| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_TAIL}"""
)
_DEEPSEEK = (r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", _DEEPSEEK_WORD)


class Rule(msgspec.Struct, frozen=True):
    """Expressions in turn, and whether words that are tokens as a whole skip the merges."""

    expressions: tuple[str, ...]
    whole_words: bool


_NAMES: dict[Rule, str] = {
    Rule((_OLD,), whole_words=False): "gpt-2",
    Rule((_DIGIT, _OLD), whole_words=False): "smollm",
    Rule((_BY_THREE,), whole_words=True): "llama-bpe",
    Rule((_BY_THREE,), whole_words=False): "dbrx",
    Rule((_BY_ONE,), whole_words=False): "qwen2",
    Rule((_MARKED,), whole_words=False): "qwen35",
    Rule((_TEKKEN,), whole_words=True): "tekken",
    Rule((_O200K,), whole_words=False): "gpt-4o",
    Rule((_SEED,), whole_words=False): "seed-coder",
    Rule(_DEEPSEEK, whole_words=False): "deepseek-v3",
}
_NORMALIZERS = ("NFC",)
"""The engine does nothing of the kind, and nearly all text has that form already."""


def rule_name(tokenizer: TokenizerFile) -> str:
    """Name the rule of a byte-pair tokenizer. UnsupportedModel for one that the engine does not have."""
    for step in steps(tokenizer.normalizer, "normalizers"):
        if step.get("type") not in _NORMALIZERS:
            raise _unknown(f"it changes text by {step.get('type')} first")
    expressions = tuple(_expression(step) for step in steps(tokenizer.pre_tokenizer, "pretokenizers"))
    rule = Rule(tuple(filter(None, expressions)), tokenizer.model.ignore_merges)
    name = _NAMES.get(rule) or _NAMES.get(Rule(rule.expressions, whole_words=not rule.whole_words))
    if name is None:
        raise _unknown(f"it cuts words by {' and '.join(f'`{part}`' for part in rule.expressions) or 'nothing'}")
    return name


def _expression(step: Step) -> str:
    """Read one step as an expression; empty for one that only maps bytes to letters."""
    match step.get("type"):
        case "ByteLevel" if not step.get("add_prefix_space", True):
            return _OLD if step.get("use_regex", True) else ""
        case "Digits" if step.get("individual_digits"):
            return _DIGIT
        case "Split" if _is_isolating(step) and (expression := pattern(step, "Regex")):
            return expression
    raise _unknown(f"it cuts words by a step of the kind {step.get('type')} that is not known")


def _is_isolating(step: Step) -> bool:
    return (step.get("behavior"), bool(step.get("invert"))) in (("Isolated", False), ("Removed", True))


def _unknown(reason: str) -> UnsupportedModel:
    return UnsupportedModel(f"the tokenizer cannot be converted: {reason}")
