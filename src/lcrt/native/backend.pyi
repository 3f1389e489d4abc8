"""Makes the backend under a context or an engine. Nothing here for Python."""
