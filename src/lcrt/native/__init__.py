"""Bindings of the C engine: one module for each C object, no policy."""
