"""The native dialect: ``/api/*``."""
