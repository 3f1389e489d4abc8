"""Values that travel between rooms; imports nothing of lcrt but errors."""
