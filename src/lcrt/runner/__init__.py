"""One process per loaded model: the child's loop, and the daemon's half that speaks to it."""
