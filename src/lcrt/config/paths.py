"""Where lcrt keeps its files."""

from pathlib import Path

_HOME = ".lcrt"


def home_directory() -> Path:
    """Name the directory of everything that lcrt keeps for a user."""
    return Path.home() / _HOME


def models_directory() -> Path:
    """Name the default place of models."""
    return home_directory() / "models"


def cache_directory() -> Path:
    """Name the default place of what prompts computed."""
    return home_directory() / "cache"


def history_file() -> Path:
    """Name the file with what was typed at the prompt."""
    return home_directory() / "history"


def config_file() -> Path:
    """Name the default settings file."""
    return Path.home() / ".config" / "lcrt" / "config.toml"
