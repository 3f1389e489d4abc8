"""The daemon: HTTP in three dialects in front of the scheduler."""
