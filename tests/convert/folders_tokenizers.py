"""Tokenizer files of the small folders: byte pairs, SentencePiece and WordPiece, each with few tokens."""

import struct
from pathlib import Path

from tests.convert.folders import write_json
from tests.native.tiny import byte_letters

KINDS = {
    "llama": "llama3",
    "mistral": "spm",
    "qwen2": "qwen2",
    "qwen3": "qwen2",
    "gemma2": "gemma",
    "gemma3_text": "gemma",
    "phi3": "phi3",
    "bert": "wordpiece",
    "nomic_bert": "wordpiece",
}
PATTERNS = {
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
CONTROLS = {
    "llama3": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
}
MERGES = ["t h", "th e", "\u0120 the", "h e", "\u0120 a", "i n", "in g"]
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
SPECIALS = {
    "spm": ["<unk>", "<s>", "</s>"],
    "phi3": ["<unk>", "<s>", "</s>"],
    "gemma": ["<pad>", "<eos>", "<bos>", "<unk>"],
}
ADDED = ["<|endoftext|>", "<|assistant|>", "<|user|>"]
PIECES = ["\u2581", *map(chr, range(ord("a"), ord("z") + 1)), "th", "the", "\u2581the", "\u2581a", "ing", "\u2581th"]
WORDS = [
    "[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "!", ",", ".",
    *map(chr, range(ord("a"), ord("z") + 1)), "the", "cat", "sat", "play", "un",
    *(f"##{chr(code)}" for code in range(ord("a"), ord("z") + 1)), "##ing", "##able",
]  # fmt: skip
N_BYTES = 256
SIZES = {
    "llama3": N_BYTES + len(MERGES) + 3,
    "qwen2": N_BYTES + len(MERGES) + 3,
    "spm": 3 + N_BYTES + len(PIECES),
    "phi3": 3 + N_BYTES + len(PIECES) + 8,
    "gemma": 4 + N_BYTES + len(PIECES),
    "wordpiece": len(WORDS),
}
"""Rows of the embedding: as many as tokens, and in phi3 some more, as its makers have it."""
BOS = {"llama3": SIZES["llama3"] - 3, "qwen2": None, "spm": 1, "phi3": 1, "gemma": 2, "wordpiece": None}
EOS = {"llama3": SIZES["llama3"] - 2, "qwen2": SIZES["qwen2"] - 1, "spm": 2, "phi3": 2, "gemma": 1, "wordpiece": None}
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"


def write(folder: Path, family: str) -> None:
    """The tokenizer files of that family."""
    kind = KINDS[family]
    if kind in PATTERNS:
        _byte_pairs(folder, kind)
    elif kind == "wordpiece":
        _word_pieces(folder)
    else:
        _sentence_pieces(folder, kind)


def _byte_pairs(folder: Path, kind: str) -> None:
    tokens = byte_letters() + [merge.replace(" ", "") for merge in MERGES]
    added = [
        {"id": len(tokens) + i, "content": text, "special": True, "normalized": False}
        | {"single_word": False, "lstrip": False, "rstrip": False}
        for i, text in enumerate(CONTROLS[kind])
    ]
    split = {"type": "Split", "pattern": {"Regex": PATTERNS[kind]}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if kind == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "byte_fallback": False,
            "ignore_merges": kind == "llama3",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": MERGES,
        },
    }
    write_json(folder / "tokenizer.json", tokenizer)
    first, second, third = CONTROLS[kind]
    names = {"bos_token": first, "eos_token": second} if kind == "llama3" else {"eos_token": third, "pad_token": first}
    names |= {"tokenizer_class": "PreTrainedTokenizerFast" if kind == "llama3" else "Qwen2Tokenizer"}
    decoder = {str(entry["id"]): {"content": entry["content"], "special": True} for entry in added}
    write_json(folder / "tokenizer_config.json", names | {"added_tokens_decoder": decoder, "chat_template": TEMPLATE})


def _sentence_pieces(folder: Path, kind: str) -> None:
    specials = SPECIALS[kind]
    pieces = [(text, 0.0, UNKNOWN if text == "<unk>" else CONTROL) for text in specials]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(N_BYTES)]
    pieces += [(text, -float(i), NORMAL) for i, text in enumerate(reversed(PIECES))]
    (folder / "tokenizer.model").write_bytes(_model_proto(pieces, specials, add_prefix=kind != "gemma"))
    if kind == "gemma":
        names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
        names |= {"tokenizer_class": "GemmaTokenizer"}
    else:
        names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "LlamaTokenizer"}
    config: dict[str, object] = {**names, "add_bos_token": True, "add_eos_token": False, "chat_template": TEMPLATE}
    if kind == "phi3":
        start = len(pieces)
        write_json(folder / "added_tokens.json", {text: start + i for i, text in enumerate(ADDED)})
        config["added_tokens_decoder"] = {
            str(start + i): {"content": text, "special": True} for i, text in enumerate(ADDED)
        }
    write_json(folder / "tokenizer_config.json", config)


def _model_proto(pieces: list[tuple[str, float, int]], specials: list[str], *, add_prefix: bool) -> bytes:
    """The bytes of tokenizer.model: pieces, how it was trained, and how texts are prepared."""
    out = b"".join(
        _field(1, _field(1, text.encode()) + _float(2, score) + _varint(3, kind)) for text, score, kind in pieces
    )
    numbers = {name: specials.index(text) for name, text in ((40, "<unk>"),)}
    begin, end = ("<bos>", "<eos>") if "<bos>" in specials else ("<s>", "</s>")
    numbers |= {41: specials.index(begin), 42: specials.index(end)}
    trainer = _varint(3, 2) + _varint(4, len(pieces)) + _varint(35, 1)
    trainer += b"".join(_varint(number, value) for number, value in numbers.items())
    normalizer = _field(1, b"identity") + _varint(3, int(add_prefix)) + _varint(4, 0) + _varint(5, 1)
    return out + _field(2, trainer) + _field(3, normalizer)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _float(field: int, value: float) -> bytes:
    return _number(field << 3 | 5) + struct.pack("<f", value)


def _field(field: int, data: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(data)) + data


def _word_pieces(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    names = {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
    }
    write_json(folder / "tokenizer_config.json", {**names, "do_lower_case": True, "tokenizer_class": "BertTokenizer"})
    added = [
        {
            "id": i,
            "content": text,
            "special": True,
            "normalized": False,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
        }
        for i, text in enumerate(WORDS)
        if text in names.values()
    ]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {
                text: {"id": text, "ids": [WORDS.index(text)], "tokens": [text]} for text in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: i for i, token in enumerate(WORDS)},
        },
    }  # fmt: skip
    write_json(folder / "tokenizer.json", tokenizer)
