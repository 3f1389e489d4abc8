"""Models as Hugging Face publishes them, folders of safetensors, made into GGUF files."""
