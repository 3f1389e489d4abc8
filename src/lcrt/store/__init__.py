"""Manifests and blobs on disk, in the layout that Ollama uses."""
