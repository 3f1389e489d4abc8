"""Every error that lcrt raises on purpose.

LcrtError
├── RequestError        the caller's mistake (4xx)
│   ├── InvalidRequest  malformed or contradictory
│   │   └── InvalidGrammar  a format, schema or grammar that cannot be followed
│   ├── NotFound        no such model, blob or path
│   ├── Conflict        the thing is in another state
│   ├── TooLarge        more bytes than the limit allows
│   └── TooSlow         the bytes did not come in time
├── OptionError         an option of a type that it cannot have (500, as Ollama answers)
├── NotSupported        a thing that this version cannot do yet (501)
├── BusyError           no room now, try again (503)
├── Cancelled           the client went away
├── StoreError          the model store is damaged or cannot be written
├── ConfigError         a setting that cannot be read
├── NoServer            a client found no daemon at the address
└── EngineError         the model or the engine failed (500)
    ├── ModelFormatError    not a GGUF, truncated, or contradictory
    ├── UnsupportedModel    a GGUF that this build cannot run
    ├── OutOfMemory         weights, KV cache or buffers do not fit
    ├── LoadError           the model could not be loaded for another reason
    ├── DecodeError         a forward pass failed
    ├── RunnerDied          the process of the model ended
    │   └── RunnerGone      it ended before it said anything of the request
    └── ClosedError         used after it was freed
"""


class LcrtError(Exception):
    """Base of all errors; ``message`` is for a person, ``hint`` says what to do next."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class RequestError(LcrtError):
    """The caller's mistake."""


class InvalidRequest(RequestError):
    """A request that is malformed or contradicts itself."""


class InvalidGrammar(InvalidRequest):
    """A format, schema or grammar that is wrong or too complex to be followed."""


class NotFound(RequestError):
    """A model, blob or path that does not exist."""


class Conflict(RequestError):
    """The thing is in a state that does not allow this."""


class TooLarge(RequestError):
    """A request with more bytes than the limit allows."""


class TooSlow(RequestError):
    """A request whose bytes did not come in time."""


class OptionError(LcrtError):
    """An option with a value of the wrong type."""


class NotSupported(LcrtError):
    """A thing that this version cannot do."""


class BusyError(LcrtError):
    """No room now; trying again later may work."""


class Cancelled(LcrtError):
    """The client went away before the answer."""


class StoreError(LcrtError):
    """The model store is damaged or cannot be written."""


class ConfigError(LcrtError):
    """A setting that cannot be read."""


class NoServer(LcrtError):
    """A client found no daemon at the address."""


class EngineError(LcrtError):
    """The model or the engine failed."""


class ModelFormatError(EngineError):
    """A file that is no GGUF, is truncated, or contradicts itself."""


class UnsupportedModel(EngineError):
    """A GGUF that this build cannot run."""


class OutOfMemory(EngineError):
    """Weights, KV cache or buffers do not fit."""


class LoadError(EngineError):
    """The model could not be loaded."""


class DecodeError(EngineError):
    """A forward pass failed."""


class RunnerDied(EngineError):
    """The process that owns the model ended."""


class RunnerGone(RunnerDied):
    """The process ended before it said anything of this request: another may be asked."""


class ClosedError(EngineError):
    """Used after it was freed or closed."""
