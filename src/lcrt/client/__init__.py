"""What the command line speaks to a daemon with; imports neither the server nor the engine."""
