"""Headers of GGUF files, read and written without the engine."""
