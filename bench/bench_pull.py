"""A blob of 1 GB over loopback: a pull through the daemon, hashed and synced, against curl and then sha256.

lcrt hashes what arrives while it arrives, syncs and publishes. curl writes the file, and then its digest
is computed by the same OpenSSL (``sha256sum`` of coreutils is a contender of its own: it has no SHA-NI on
some systems). ``--size`` is in MB. The two last rows are the daemon's memory before and after all pulls.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.bench_idle import resident
from bench.peers import lcrt_server
from bench.rounds import alternate, arguments, table


@contextmanager
def blob_server(path: Path) -> Iterator[str]:
    """Serve a file; yields host and port."""
    command = [sys.executable, "-m", "bench.blob_server", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def make_blob(path: Path, megabytes: int) -> str:
    """Write bytes that no file system can squeeze; returns their digest."""
    hasher = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(megabytes):
            piece = os.urandom(10**6)
            hasher.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return hasher.hexdigest()


def call(url: str, path: str, body: dict[str, object], method: str = "POST") -> bytes:
    """Send a request to the daemon."""
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method=method)
    with urllib.request.urlopen(request) as reply:
        answer: bytes = reply.read()
    return answer


def fetch(url: str, target: Path, *, sync: bool, program: bool) -> None:
    """Do it with curl, then compute the digest."""
    subprocess.run(["curl", "-sf", "-o", str(target), url], check=True)
    if program:
        subprocess.run(["sha256sum", str(target)], check=True, capture_output=True)
    else:
        with target.open("rb") as file:
            hashlib.file_digest(file, "sha256")
    if sync:
        subprocess.run(["sync", str(target)], check=True)


def main() -> None:
    """Run the rounds and print the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--size", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lcrt-bench-") as folder:
        blob, target = Path(folder) / "blob", Path(folder) / "fetched"
        digest = make_blob(blob, options.size)
        with blob_server(blob) as host, lcrt_server({}) as (url, pid):
            name = f"{host}/library/m:latest"
            before = resident(pid)

            def begin() -> float:
                os.sync()
                return time.perf_counter()

            def rate(started: float) -> float:
                return options.size / (time.perf_counter() - started)

            def ours() -> float:
                started = begin()
                answer = call(url, "/api/pull", {"model": name, "insecure": True, "stream": False})
                found = rate(started)
                assert answer == b'{"status":"success"}', answer
                call(url, "/api/delete", {"model": name}, "DELETE")
                return found

            def theirs(*, sync: bool, program: bool) -> float:
                target.unlink(missing_ok=True)
                started = begin()
                fetch(f"http://{host}/v2/library/m/blobs/sha256:{digest}", target, sync=sync, program=program)
                return rate(started)

            samples = alternate(
                {
                    "lcrt": ours,
                    "curl, sha256": lambda: theirs(sync=False, program=False),
                    "curl, sha256, sync": lambda: theirs(sync=True, program=False),
                    "curl, sha256sum": lambda: theirs(sync=False, program=True),
                },
                options.rounds,
            )
            after = resident(pid)
    print(table(f"pull of {options.size} MB over loopback", samples, "lcrt", "MB/s"))
    print(f"daemon, resident: {before:.0f} MB before, {after:.0f} MB after")


if __name__ == "__main__":
    main()
