import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt import errors
from lcrt.client.api import Api
from lcrt.client.progress import hash_file, pieces
from lcrt.config.address import Address
from tests.client.fake import Answer, FakeDaemon, failure, objects


def test_nobody_listening_is_advice_to_start_a_server() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        api = Api(Address.parse(f"127.0.0.1:{unused.getsockname()[1]}"))
        with pytest.raises(errors.NoServer, match="run 'lcrt serve' to start it"):
            api.ping()


def test_a_server_of_another_kind_is_named(fake: FakeDaemon, api: Api) -> None:
    fake.on("HEAD", "/", Answer(status=403))
    with pytest.raises(errors.LcrtError, match=f"{fake.port} answered 403"):
        api.ping()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (500, errors.EngineError),
        (503, errors.BusyError),
    ],
)
def test_a_status_becomes_the_error_that_it_means(
    fake: FakeDaemon, api: Api, status: int, kind: type[errors.LcrtError]
) -> None:
    fake.on("POST", "/api/show", failure(status, "because"))
    with pytest.raises(kind, match=r"^because$"):
        api.show("x")


def test_an_error_that_is_no_json_keeps_its_text(fake: FakeDaemon, api: Api) -> None:
    fake.on("GET", "/api/tags", Answer((b"404 page not found",), 404))
    with pytest.raises(errors.NotFound, match=r"^404 page not found$"):
        api.models()


def test_an_answer_that_is_no_json_is_an_error_and_no_crash(fake: FakeDaemon, api: Api) -> None:
    fake.on("GET", "/api/tags", Answer((b"<html>\xff",)))
    with pytest.raises(errors.LcrtError, match="unexpected answer"):
        api.models()


def test_a_stream_gives_each_object_as_it_comes(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/chat", objects({"message": {"role": "assistant", "content": "a"}}, {"done": True}))
    with api.chat({"model": "m"}) as chunks:
        assert [(chunk.text, chunk.done) for chunk in chunks] == [("a", False), ("", True)]
    assert fake.bodies("/api/chat") == [{"model": "m"}]


def test_an_object_may_come_in_many_pieces(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/generate", Answer((b'{"respo', b'nse":"\xc3', b'\xa9"}\n{"done"', b":true}")))
    with api.generate({}) as chunks:
        assert [chunk.text for chunk in chunks] == ["é", ""]


def test_an_error_line_ends_a_stream_that_had_begun(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/generate", objects({"response": "a"}, {"error": "runner died"}))
    with api.generate({}) as chunks:
        assert next(chunks).text == "a"
        with pytest.raises(errors.EngineError, match=r"^runner died$"):
            next(chunks)


def test_a_stream_that_is_cut_off_is_an_error(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/generate", objects({"response": "a"}, cut=True))
    with api.generate({}) as chunks:
        assert next(chunks).text == "a"
        with pytest.raises(errors.LcrtError, match="connection to the server broke"):
            next(chunks)


def test_leaving_a_stream_closes_the_connection(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/generate", objects({"response": "a"}, hangs=True))
    with api.generate({}) as chunks:
        next(chunks)
    assert fake.left.wait(10)


def test_an_error_of_the_reader_is_not_taken_for_one_of_the_connection(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/generate", objects({"response": "a"}))

    def read() -> None:
        with api.generate({}) as chunks:
            next(chunks)
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        read()


def test_a_file_is_hashed_and_sent_with_its_length(fake: FakeDaemon, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    done: list[int] = []
    file = hash_file(path, done.append)
    assert file.digest == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (file.size, done) == (3, [3])
    fake.on("POST", f"/api/blobs/{file.digest}", Answer(status=201))
    api.upload(file.digest, pieces(path, done.append), file.size)
    assert fake.asked[-1].body == b"abc"
    assert done == [3, 3]


def test_a_refused_upload_says_why_although_the_body_was_not_read(api: Api, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/blobs/x", failure(400, "digest mismatch"))
    big = 2**20

    def body() -> Iterator[bytes]:
        yield bytes(big)

    with pytest.raises(errors.InvalidRequest, match="digest mismatch"):
        api.upload("x", body(), big)


@pytest.mark.parametrize(("status", "has"), [(200, True), (404, False)])
def test_a_blob_is_there_or_not(fake: FakeDaemon, api: Api, status: int, has: bool) -> None:
    fake.on("HEAD", "/api/blobs/sha256:1", Answer(status=status))
    assert api.has_blob("sha256:1") is has


def test_a_path_in_front_is_kept(fake: FakeDaemon) -> None:
    fake.on("GET", "/up/api/version", objects({"version": "1"}))
    assert Api(Address.parse(f"{fake.host}/up/")).version().version == "1"


def test_an_interrupt_that_another_thread_gets_ends_the_wait_too(fake: FakeDaemon, api: Api) -> None:
    fake.on("POST", "/api/chat", objects({"message": {"role": "assistant", "content": "endless"}}, hangs=True))

    def interrupt() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    with api.chat({"model": "m"}) as chunks:
        next(chunks)
        threading.Timer(0.3, interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            next(chunks)
    assert fake.left.wait(10)
