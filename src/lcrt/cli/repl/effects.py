"""What a slash command asks the loop to do, beside changing the session."""

from typing import Literal

import msgspec

Part = Literal["info", "license", "modelfile", "parameters", "system", "template"]


class Ask(msgspec.Struct, frozen=True):
    """Send a message to the model."""

    text: str


class Say(msgspec.Struct, frozen=True):
    """Print lines; help and complaints are ``talk`` and go to stderr."""

    text: str
    talk: bool = False


class Show(msgspec.Struct, frozen=True):
    """Print a part of what is known of the model."""

    part: Part


class Load(msgspec.Struct, frozen=True):
    """Go on with another model."""

    model: str


class Save(msgspec.Struct, frozen=True):
    """Make a model of the conversation."""

    name: str


class ListModels(msgspec.Struct, frozen=True):
    """Print the models on disk."""


class KeepHistory(msgspec.Struct, frozen=True):
    """Begin or end writing what is typed to the history file."""

    on: bool


class Quit(msgspec.Struct, frozen=True):
    """End the conversation."""


Effect = Ask | Say | Show | Load | Save | ListModels | KeepHistory | Quit
