"""What is done to a store while it is killed: plans of operations that always have the same outcome.

An operation uses the store as the daemon and the command line do. A plan begins with a store that
``prepare`` filled, and each of its operations is acknowledged when it has returned.
"""

import hashlib
import os
import random
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from unittest import mock

import msgspec

from lcrt.core.request import CreateRequest
from lcrt.gguf.check import check_header
from lcrt.gguf.reader import Header, read_header
from lcrt.gguf.writer import Tensor, encode_gguf, write_gguf
from lcrt.modelfile import quantize, weights
from lcrt.modelfile.create import create
from lcrt.store import intake, layers, room
from lcrt.store.archive import export_model, import_archive
from lcrt.store.blobs import BlobWriter
from lcrt.store.failure import store_error
from lcrt.store.layers import MANIFEST_TYPE, Layer
from lcrt.store.prune import Ages
from lcrt.store.store import Store
from lcrt.task.progress import Progress
from tests.modelfile.models import LLAMA, TENSOR, named

Operation = Callable[[Store], None]
Plan = tuple[Operation, ...]

QUANTIZED = b"".join(encode_gguf(LLAMA | {"general.file_type": 7}, (TENSOR,)))
"""What comes of quantizing here, whatever it was."""

NAMES = ("a", "b", "ns/c:q4", "host.io/ns/d")


def check_here(path: Path) -> Generator[None, None, None]:
    """Check a file without a process of its own, which takes longer than all the rest and changes no store."""
    check_header(read_header(path))
    yield


def quantize_here(_header: Header, output: Path, _target: str, _importance: Path | None) -> Iterator[Progress]:
    """Write what the process that quantizes would, in pieces that are counted."""
    fd = os.open(output, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        for piece in (b"", QUANTIZED[:100], QUANTIZED[100:]):
            os.write(fd, piece)
            yield Progress("quantizing")
    except OSError as error:
        raise store_error("cannot write the quantized model", error) from error
    finally:
        os.close(fd)


def convert_here(folder: Path, output: Path, *, file_type: str | None = None) -> Iterator[Progress]:
    """Write what the process that converts would: a model that its weights tell from others."""
    header = LLAMA | {"general.name": (folder / "model.safetensors").read_text(), "general.file_type": 1}
    data = b"".join(encode_gguf(header, (TENSOR,)))
    del file_type
    fd = os.open(output, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        for piece in (data[:200], data[200:]):
            os.write(fd, piece)
            yield Progress("converting model")
    except OSError as error:
        raise store_error("converting failed", error) from error
    finally:
        os.close(fd)


def clone_here(source: int, writer: BlobWriter) -> bool:
    """Do what a file system does that can share bytes, which the one of the tests seldom is."""
    data = os.pread(source, 1 << 20, 0)
    try:
        for piece in (data[:200], data[200:]):
            os.write(writer.fileno(), piece)
    except OSError:
        os.ftruncate(writer.fileno(), 0)
        os.lseek(writer.fileno(), 0, os.SEEK_SET)
        return False
    return True


def stay_here() -> None:
    """Let nothing of a creation happen in another process, and a disk be used to its last byte, until this one ends."""
    room.MARGIN = 0
    weights.check_file = check_here  # type: ignore[attr-defined]
    weights.convert = convert_here  # type: ignore[assignment, attr-defined]
    quantize.quantize = quantize_here  # type: ignore[assignment]


def gguf(folder: Path, seed: int) -> bytes:
    """A small model's file; another seed is another digest."""
    path = folder / f"{os.getpid()}.gguf"
    write_gguf(path, LLAMA | {"general.name": f"model {seed}"}, (TENSOR,))
    data = path.read_bytes()
    path.unlink()
    return data


def shard(i: int) -> bytes:
    """One of the two files of a split model."""
    said = {"split.no": i, "split.count": 2, "split.tensors.count": 2}
    tensor = Tensor(f"t{i}", "F16", (8, 2), bytes([i]) * 32)
    return b"".join(encode_gguf((LLAMA if i == 0 else {}) | said, (tensor,)))


class World:
    """The files from which operations take their bytes, outside the store. Read only once it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.files = [folder / f"{seed}.gguf" for seed in range(4)]
        for seed, file in enumerate(self.files):
            file.write_bytes(gguf(folder, seed))
        self.shards = [shard(i) for i in range(2)]
        self.archive = folder / "model.tar"
        store = Store(folder / "other")
        self.upload(0, "exported", system="from afar")(store)
        export_model(store, named("exported"), self.archive)

    def prepare(self, store: Store) -> None:
        """Two models that share their weights, one of its own, and what an earlier crash may have left."""
        self.upload(0, "a")(store)
        self.upload(0, "b", system="be brief")(store)
        self.upload(1, "other")(store)
        leave(store, "sha256-12345", b"old")
        leave(store, f"sha256-{'e' * 64}", b"unreferenced")
        leave(store, f"sha256-{'d' * 64}-partial", b"part")

    def upload(self, seed: int, name: str, system: str = "") -> Operation:
        """A client uploads a file and makes a model of it."""

        def operation(store: Store) -> None:
            data = self.files[seed].read_bytes()
            third = len(data) // 3
            with store.blobs.writer() as writer:
                for piece in (data[:third], data[third : 2 * third], data[2 * third :]):
                    writer.write(piece)
                store.keep_blob(writer)
            list(create(store, CreateRequest(name, files={"m.gguf": writer.digest}, system=system)))

        return operation

    def upload_all(self, files: dict[str, bytes], name: str, target: str = "") -> Operation:
        """A client uploads several files and makes one model of them, of another type if one is given."""

        def operation(store: Store) -> None:
            digests: dict[str, str] = {}
            for path, data in files.items():
                with store.blobs.writer() as writer:
                    writer.write(data)
                    store.keep_blob(writer)
                digests[path] = writer.digest
            list(create(store, CreateRequest(name, files=digests, quantize=target)))

        return operation

    def join(self, name: str, target: str = "") -> Operation:
        """The shards of a model become one file."""
        files = {f"m-{i + 1:05}-of-00002.gguf": data for i, data in enumerate(self.shards)}
        return self.upload_all(files, name, target)

    def convert(self, seed: int, name: str, target: str = "") -> Operation:
        """A folder of safetensors becomes a file."""
        return self.upload_all(self.safetensors(seed), name, target)

    def safetensors(self, seed: int) -> dict[str, bytes]:
        """The files of a folder that can be converted here."""
        return {"config.json": b"{}", "model.safetensors": b"weights %d" % seed}

    def quantize(self, name: str, base: str) -> Operation:
        """A model is made of another one, if that is there, whose weights get another type."""

        def operation(store: Store) -> None:
            if store.find(named(base)):
                list(create(store, CreateRequest(name, from_=base, quantize="q8_0")))

        return operation

    def derive(self, name: str, base: str, system: str) -> Operation:
        """A model is made of another; both must be there for it to change anything."""

        def operation(store: Store) -> None:
            if store.find(named(base)):
                request = CreateRequest(name, from_=base, system=system, license=("MIT",), parameters={"top_k": 3})
                list(create(store, request))

        return operation

    def copy(self, source: str, target: str) -> Operation:
        """A second name."""
        return lambda store: store.copy(named(source), named(target)) if store.find(named(source)) else None

    def delete(self, name: str) -> Operation:
        """A model goes."""
        return lambda store: store.delete(named(name)) if store.find(named(name)) else None

    def collect(self) -> Operation:
        """All that no model needs goes, however young."""
        return lambda store: void(store.collect(Ages(blob=-1, partial=-1)))

    def take_in(self, seed: int, name: str, *, link: bool) -> Operation:
        """A file on this machine becomes a model, copied or used where it lies."""

        def operation(store: Store) -> None:
            taken = store.take_in(self.files[seed], lambda _: None, link=link)
            list(create(store, CreateRequest(name, files={"m.gguf": taken.digest})))

        return operation

    def share(self, seed: int, name: str) -> Operation:
        """The same where the file system shares bytes."""

        def operation(store: Store) -> None:
            with mock.patch.object(intake, "_clone", clone_here):
                self.take_in(seed, name, link=True)(store)

        return operation

    def note_upload(self, name: str) -> Operation:
        """What a push does: it notes how far each blob is, until the registry has it."""

        def operation(store: Store) -> None:
            found = store.find(named(name))
            for digest in sorted(found.digests) if found else ():
                with store.uploads.open("registry", digest) as record:
                    for end in (10, 20):
                        record.write(b'{"url":"u","pieces":[{"end":%d}]}' % end)
                    record.forget()

        return operation

    def unpack(self, name: str) -> Operation:
        """An archive becomes a model."""
        return lambda store: void(import_archive(store, self.archive, name))

    def pull(self, seed: int, name: str) -> Operation:
        """What a download does: parts in a sparse file, their records, the blobs, then the manifest as it came."""

        def operation(store: Store) -> None:
            data, config = self.files[seed].read_bytes(), b'{"model_format": "gguf"}'
            wanted = [Layer(layers.MODEL, digest_of(data), len(data)), Layer("c", digest_of(config), len(config))]
            raw = msgspec.json.encode(
                {"mediaType": MANIFEST_TYPE, "config": wanted[1].wire(), "layers": [wanted[0].wire()], "x": [1]}
            )
            with store.hold() as hold:
                hold.reserve(*(layer.digest for layer in wanted))
                for layer, content in zip(wanted, (data, config), strict=True):
                    if not store.blobs.has(layer.digest):
                        download(store, layer.digest, content)
                store.publish_raw(named(name), raw)

        return operation


def download(store: Store, digest: str, content: bytes) -> None:
    """Write a blob in two parts, last part first."""
    claim = store.claim(digest)
    assert claim is not None
    partial = store.blobs.partial(digest)
    record = partial.with_name(partial.name + "-0")
    with claim:
        try:
            store.blobs.directory.mkdir(parents=True, exist_ok=True)
            fill(partial, record, content)
        except OSError as error:
            raise store_error("cannot download", error) from error
        store.place(partial, digest)
        record.unlink()


def fill(partial: Path, record: Path, content: bytes) -> None:
    """Write the parts and the record of one."""
    half = len(content) // 2
    fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, content[half:], half)
        write(record, b'{"N":0,"Offset":0,"Size":9,"Completed":0}')
        os.pwrite(fd, content[:half], 0)
    finally:
        os.close(fd)


def write(path: Path, data: bytes) -> None:
    """Write a file through the functions that are counted."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def leave(store: Store, name: str, data: bytes) -> None:
    """Leave a file among the blobs whose name, if it is a digest, is not that of its content."""
    if "-partial" not in name and len(name) > 70:
        name = digest_of(data).replace(":", "-")
    (store.blobs.directory / name).write_bytes(data)


def digest_of(data: bytes) -> str:
    """Compute a digest without the code under test."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def void(_value: object) -> None:
    """Drop a result."""


def fixed(world: World) -> dict[str, Plan]:
    """One plan for each thing that can happen to a store."""
    return {
        "create": (world.upload(2, "new", system="hello"),),
        "create over another": (world.upload(2, "a"),),
        "create from another": (world.derive("derived", "b", "be long"), world.derive("derived", "a", "be short")),
        "create from a file here": (world.take_in(2, "taken", link=False),),
        "create from a link": (world.take_in(3, "linked", link=True), world.delete("linked")),
        "create from a shared file": (world.share(2, "shared"),),
        "create of shards": (world.join("joined"), world.join("joined", "q8_0")),
        "create, converted": (world.convert(1, "new"), world.convert(2, "a", "q8_0")),
        "create, quantized": (world.quantize("small", "b"), world.quantize("a", "other")),
        "copy": (world.copy("a", "host.io/ns/copy:1"), world.copy("other", "a")),
        "delete": (world.delete("a"), world.delete("other"), world.delete("b")),
        "collect": (world.collect(),),
        "pull": (world.pull(2, "host.io/ns/pulled:1"),),
        "pull over another": (world.pull(3, "other"),),
        "push": (world.note_upload("b"),),
        "unpack": (world.unpack("unpacked"),),
    }


def drawn(world: World, seed: int) -> Plan:
    """A few operations by chance."""
    chance = random.Random(seed)

    def one() -> Operation:
        name, other = chance.choice(NAMES), chance.choice(NAMES)
        file = chance.randrange(4)
        makers: tuple[Callable[[], Operation], ...] = (
            lambda: world.upload(file, name, system=chance.choice(("", "x"))),
            lambda: world.derive(name, other, str(file)),
            lambda: world.copy(name, other),
            lambda: world.delete(name),
            world.collect,
            lambda: world.pull(file, name),
            lambda: world.take_in(file, name, link=chance.random() < 0.5),
            lambda: world.share(file, name),
            lambda: world.join(name, chance.choice(("", "q8_0"))),
            lambda: world.convert(file, name, chance.choice(("", "q8_0"))),
            lambda: world.quantize(name, other),
            lambda: world.note_upload(other),
            lambda: world.unpack(name),
        )
        return chance.choice(makers)()

    return tuple(one() for _ in range(chance.randint(2, 5)))
