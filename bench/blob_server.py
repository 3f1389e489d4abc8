"""A registry with one model whose only layer is a file, sent by the kernel: FILE. Prints its port, then serves."""

import hashlib
import json
import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import BinaryIO

_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d+)", re.IGNORECASE)
_CONFIG = b"{}"


def manifest(path: Path) -> bytes:
    """Describe the model."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{digest}",
        "size": path.stat().st_size,
    }
    config = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "digest": f"sha256:{hashlib.sha256(_CONFIG).hexdigest()}",
        "size": len(_CONFIG),
    }
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode()


def answer(connection: socket.socket, file: BinaryIO, described: bytes) -> None:
    """Serve one connection until the client leaves."""
    layer = json.loads(described)["layers"][0]
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            more = connection.recv(65536)
            if not more:
                return
            received += more
        head, _, received = received.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        if layer["digest"] not in path:
            body = described if "/manifests/" in path else _CONFIG
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            continue
        wanted = _RANGE.search(head)
        first, last = (int(wanted[1]), int(wanted[2])) if wanted else (0, layer["size"] - 1)
        connection.sendall(
            b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
            % (206 if wanted else 200, last + 1 - first, first, last, layer["size"])
        )
        while first <= last:
            first += os.sendfile(connection.fileno(), file.fileno(), first, last + 1 - first)


def serve(connection: socket.socket, file: BinaryIO, described: bytes) -> None:
    """Serve a connection in its own thread."""
    with connection:
        try:
            answer(connection, file, described)
        except ConnectionError:
            return


def main() -> None:
    """Serve until killed."""
    path = Path(sys.argv[1])
    described = manifest(path)
    with path.open("rb") as file, socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection, file, described), daemon=True).start()


if __name__ == "__main__":
    main()
