"""Settings, each value with the place it came from."""
