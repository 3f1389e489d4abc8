"""Tokenizers trained on the spot by the library that most models come with, and small models around them."""

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from lcrt.convert.write import write_model
from lcrt.native.model import Model
from tests.convert.folders import random_weights, write_json, write_weights

CORPUS = (
    "The quick brown fox jumps over the lazy dog. I've told him that he's late; they'll say we're 12 minutes early.",
    "def main(args: list[str]) -> int:\n    for i in range(1024):\n        print(i ** 2, args[i % len(args)])\n",
    "Größe, naïve, café, Ærøskøbing; Привет, мир! Καλημέρα! 中文字符和日本語のテキスト、한국어 문장.",
    "3.14159 and 2,718,281 and 0xFF and 1e-9 and 2026-11-24T17:44:20Z cost $5.00 or 100% of it...\n\n\n",
    "HELLO World, camelCaseNames and SCREAMING_SNAKE_CASE meet kebab-case\t\tand\ttabs   and   spaces.",
    "مرحبا بالعالم, שלום עולם, \U0001f600\U0001f680 emoji \U0001f468\u200d\U0001f469\u200d\U0001f467.",
    "नमस्ते दुनिया, สวัสดีชาวโลก",
)
CONTROLS = ("<|start|>", "<|end|>", "<|turn|>")
MARKS = "".join(sorted(set("".join(CORPUS))))
RUN, LONGEST_RUN = "\n", 9
"""A letter whose runs are tokens; their merges come by the length of the left part, as in published files."""
TEMPLATE = "{% for m in messages %}<|turn|>{{ m.content }}{% endfor %}"


def byte_pairs(expressions: tuple[str, ...], *, whole_words: bool) -> Tokenizer:
    """Byte pairs behind the expressions that cut words."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole_words))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False))


def older_byte_pairs(*, digits: bool) -> Tokenizer:
    """Byte pairs with the rule that is built into the library, digits one by one or not."""
    tokenizer = Tokenizer(models.BPE())
    built_in = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    parts = [pre_tokenizers.Digits(individual_digits=True), built_in] if digits else [built_in]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts) if digits else built_in
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False))


def _trained(tokenizer: Tokenizer, trainer: trainers.BpeTrainer) -> Tokenizer:
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROLS])
    tokenizer.add_tokens([AddedToken("[tool]", special=False, normalized=False)])
    start = CONTROLS[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A {start} $B", special_tokens=[(start, tokenizer.token_to_id(start))]
    )
    return tokenizer


def pieces(*, prefix: bool) -> Tokenizer:
    """Byte pairs as SentencePiece has them, with a byte for every letter that is no token."""
    scored = _scored_pieces()
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocab |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for text in scored:
        vocab.setdefault(text, len(vocab))
    runs = [RUN * length for length in range(LONGEST_RUN, 0, -1)]
    vocab |= {text: len(vocab) + i for i, text in enumerate(runs)}
    merges = [
        (RUN * left, RUN * (both - left)) for left in range(1, LONGEST_RUN) for both in range(LONGEST_RUN, left, -1)
    ]
    merges += [
        (text[:at], text[at:])
        for text in scored
        for at in range(1, len(text))
        if text[:at] in vocab and text[at:] in vocab
    ]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps: list[normalizers.Normalizer] = [normalizers.Prepend("\u2581")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "\u2581")])
    if not prefix:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    specials = ("<unk>", "<s>", "</s>")
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def _scored_pieces() -> list[str]:
    """Pieces in the order in which a trainer finds them, the letters last."""
    source = Tokenizer(models.BPE())
    source.pre_tokenizer = pre_tokenizers.Metaspace()
    source.train_from_iterator(CORPUS * 3, trainers.BpeTrainer(vocab_size=500, show_progress=False))
    by_number = sorted(source.get_vocab().items(), key=lambda item: item[1])
    return [text for text, _ in by_number if len(text) > 1] + [text for text, _ in by_number if len(text) == 1]


def write_folder(folder: Path, tokenizer: Tokenizer, *, bos: str, eos: str, **changes: object) -> dict[str, object]:
    """A model of one small layer that comes with the tokenizer; returns its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": bos, "eos_token": {"content": eos}, "chat_template": TEMPLATE}
    write_json(folder / "tokenizer_config.json", names)
    config: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "vocab_size": tokenizer.get_vocab_size() + 5,
        "tie_word_embeddings": True,
        **changes,
    }
    write_json(folder / "config.json", config)
    write_weights(folder, random_weights(_shapes(config)))
    return config


def _shapes(config: dict[str, object]) -> dict[str, tuple[int, ...]]:
    width, layer = 32, "model.layers.0"
    square = {f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
    square |= {f"{layer}.mlp.{name}_proj.weight": (width, width) for name in ("gate", "up", "down")}
    norms = (f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm", "model.norm")
    embeddings = {"model.embed_tokens.weight": (int(str(config["vocab_size"])), width)}
    return embeddings | square | {f"{name}.weight": (width,) for name in norms}


def to_gguf(folder: Path) -> Path:
    """Convert in this process."""
    output = folder.with_suffix(".gguf")
    write_model(folder, output, file_type="F16", tell=lambda *_: None)
    return output


def load(folder: Path) -> Model:
    """Convert and load."""
    return Model(to_gguf(folder))
