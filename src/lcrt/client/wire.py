"""What a daemon answers, as far as the command line reads it. Unknown fields are ignored."""

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """Base of all answers; a stream that breaks says why in ``error``."""

    error: str = ""


class Details(msgspec.Struct, frozen=True):
    """Facts of a model's weights as text."""

    parent_model: str | None = None
    format: str | None = None
    family: str | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None


class Version(Reply, frozen=True):
    """The version of the API, and of lcrt where it is the server."""

    version: str = ""
    lcrt: str = ""


class Model(msgspec.Struct, frozen=True):
    """A model on disk."""

    name: str
    digest: str = ""
    size: int = 0
    modified_at: str = ""
    remote_model: str | None = None


class Models(Reply, frozen=True):
    """All models on disk."""

    models: list[Model] | None = None


class CachedTokens(msgspec.Struct, frozen=True):
    """Prompt tokens that were found instead of computed, by where they were."""

    device: int = 0
    host: int = 0
    disk: int = 0


class DraftedTokens(msgspec.Struct, frozen=True):
    """Tokens that were guessed and computed along with others, and how many of them were right."""

    drafted: int = 0
    accepted: int = 0


class Process(msgspec.Struct, frozen=True):
    """A loaded model."""

    name: str
    digest: str = ""
    size: int = 0
    size_vram: int = 0
    expires_at: str = ""
    context_length: int = 0
    cached_tokens: CachedTokens = CachedTokens()
    drafted_tokens: DraftedTokens = DraftedTokens()


class Processes(Reply, frozen=True):
    """All loaded models."""

    models: list[Process] | None = None


class Tensor(msgspec.Struct, frozen=True):
    """Name, type and dimensions of one tensor."""

    name: str
    type: str
    shape: list[int]


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation; ``tool_calls`` as the daemon sent them."""

    role: str = ""
    content: str = ""
    thinking: str = ""
    tool_calls: list[msgspec.Raw] | None = None


class Shown(Reply, frozen=True):
    """Everything known of a model."""

    license: str = ""
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""
    details: Details = Details()
    messages: list[ChatMessage] | None = None
    model_info: dict[str, object] | None = None
    projector_info: dict[str, object] | None = None
    tensors: list[Tensor] | None = None
    capabilities: list[str] | None = None
    requires: str | None = None
    remote_model: str | None = None
    remote_host: str | None = None


class Chunk(Reply, frozen=True):
    """A piece of an answer, from generate or chat; durations in nanoseconds, only in the last one."""

    response: str = ""
    thinking: str = ""
    message: ChatMessage | None = None
    tool_calls: list[msgspec.Raw] | None = None
    done: bool = False
    done_reason: str = ""
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0

    @property
    def text(self) -> str:
        """What is to be shown."""
        return self.message.content if self.message else self.response

    @property
    def thought(self) -> str:
        """What the model thinks."""
        return self.message.thinking if self.message else self.thinking

    @property
    def calls(self) -> list[msgspec.Raw]:
        """Tool calls."""
        return (self.message.tool_calls if self.message else self.tool_calls) or []


class Embeddings(Reply, frozen=True):
    """One vector per input."""

    embeddings: list[list[float]] | None = None


class Status(Reply, frozen=True):
    """What a long operation is doing; ``total`` and ``completed`` are bytes."""

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
