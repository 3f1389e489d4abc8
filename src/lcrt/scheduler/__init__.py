"""Which models are loaded: one loop, events in, effects out."""
