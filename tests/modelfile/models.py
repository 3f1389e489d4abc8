"""Small models in a store, made the way a client makes them."""

import hashlib
import itertools
import json
from collections.abc import Mapping

from lcrt.core.message import Message
from lcrt.core.name import ModelName
from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError
from lcrt.gguf.writer import Plain, Source, Tensor, encode_gguf, write_gguf
from lcrt.modelfile.create import Progress, create
from lcrt.store.store import Store

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
)
LLAMA: dict[str, Plain] = {
    "general.architecture": "llama",
    "general.type": "model",
    "general.name": "tiny",
    "general.file_type": 1,
    "llama.block_count": 1,
    "llama.context_length": 256,
    "llama.embedding_length": 8,
    "tokenizer.ggml.tokens": ["a", "b"],
}
TEXTS = ("template", "system", "renderer", "parser", "requires", "quantize")
TENSOR = Tensor("token_embd.weight", "F16", (8, 2), bytes(32))


def named(text: str) -> ModelName:
    return ModelName.parse(text)


def upload(store: Store, data: bytes) -> str:
    """Store bytes as a client's upload does; returns the digest."""
    with store.blobs.writer() as writer:
        writer.write(data)
        store.keep_blob(writer)
        return writer.digest


def upload_gguf(store: Store, metadata: Mapping[str, Plain] | None = None, tensor: Tensor = TENSOR) -> str:
    """Write a GGUF with one tensor and upload it; the metadata comes on top of a small model's."""
    path = store.directory.parent / "upload.gguf"
    write_gguf(path, LLAMA | dict(metadata or {}), (tensor,))
    data = path.read_bytes()
    path.unlink()
    return upload(store, data)


def run(store: Store, request: CreateRequest) -> list[Progress]:
    """Make a model; what is told again because nothing new can be told counts once."""
    return [step for step, _ in itertools.groupby(create(store, request))]


def make(store: Store, name: str, metadata: Mapping[str, Plain] | None = None) -> str:
    """Make a model of one GGUF; returns the GGUF's digest."""
    digest = upload_gguf(store, metadata)
    run(store, CreateRequest(name, files={"m.gguf": digest}))
    return digest


def statuses(progress: list[Progress]) -> list[str]:
    return [step.status for step in progress]


def outcome(store: Store, request: CreateRequest) -> tuple[list[str], LcrtError | None]:
    """The statuses up to the end or the error."""
    seen: list[str] = []
    try:
        seen.extend(step.status for step, _ in itertools.groupby(create(store, request)))
    except LcrtError as error:
        return seen, error
    return seen, None


def config(store: Store, name: str) -> dict[str, object]:
    layer = store.get(named(name)).config
    assert layer is not None
    read: dict[str, object] = json.loads(store.blobs.read(layer.digest))
    return read


def layer_texts(store: Store, name: str, media_type: str) -> list[str]:
    """What the layers of one kind hold."""
    return [store.blobs.read(layer.digest).decode() for layer in store.get(named(name)).of_type(media_type)]


def place_gguf(
    store: Store, name: str, metadata: Mapping[str, Plain], shapes: list[tuple[str, str, tuple[int, ...]]]
) -> None:
    """Make a model of a file with tensors of real size whose data is one hole; its digest is made up."""
    digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    path = store.blobs.path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = [Source(tensor, kind, shape, lambda: iter(())) for tensor, kind, shape in shapes]
    path.write_bytes(bytes(next(encode_gguf(metadata, tensors))))
    with path.open("r+b") as file:
        file.truncate(1 << 36)
    run(store, CreateRequest(name, files={"m.gguf": digest}))


def body_of(body: dict[str, object]) -> CreateRequest:
    """The request that a recorded body stands for."""
    said = body.get("license", [])
    messages = body.get("messages", [])
    assert isinstance(messages, list)
    parameters = body.get("parameters", {})
    assert isinstance(parameters, dict)
    return CreateRequest(
        str(body.get("model") or body.get("name") or ""),
        from_=str(body.get("from", "")),
        files=body.get("files"),  # type: ignore[arg-type]
        adapters=body.get("adapters"),  # type: ignore[arg-type]
        license=(said,) if isinstance(said, str) else tuple(said),  # type: ignore[arg-type]
        parameters=parameters,
        messages=tuple(Message(m["role"], m["content"]) for m in messages),
        **{key: str(body[key]) for key in TEXTS if key in body},  # type: ignore[arg-type]
    )
