"""Tokenizers: the files that describe them, made into the keys of a GGUF."""
