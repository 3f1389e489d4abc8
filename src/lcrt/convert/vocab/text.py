"""Which kind of tokenizer a model of text comes with."""

from pathlib import Path

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.convert.vocab import pieces
from lcrt.convert.vocab.bpe import byte_pairs, is_byte_level
from lcrt.convert.vocab.sentencepiece import of_merges, of_pieces
from lcrt.convert.vocab.tokenizer_json import read_tokenizer
from lcrt.errors import InvalidRequest, UnsupportedModel


def of_text(folder: Path, config: Config) -> Metadata:
    """Make the keys of whatever tokenizer is in the folder. UnsupportedModel for a kind that is not known."""
    tokenizer = read_tokenizer(folder)
    if tokenizer is not None and is_byte_level(tokenizer):
        return byte_pairs(folder, config, tokenizer)
    if (folder / pieces.FILE_NAME).is_file():
        return of_pieces(folder, config, tokenizer)
    if tokenizer is None:
        raise InvalidRequest(
            "there is neither `tokenizer.json` nor `tokenizer.model` in the folder", "copy all of the model's files"
        )
    if tokenizer.model.kind != "BPE":
        raise UnsupportedModel(f"a tokenizer of the kind {tokenizer.model.kind or 'unknown'} cannot be converted")
    return of_merges(folder, config, tokenizer)
