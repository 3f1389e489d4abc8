"""Answers of a real Ollama, recorded, against those of this daemon with a real model.

The folder of the recordings is named by LCRT_CONFORMANCE_DIR; their own program compares. Samples
that may differ stand in ``exceptions``; the list has to be exact.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.golden.exceptions import EXCEPTIONS, UNSTEADY

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "build" / "models"
SEEDS = {
    "smollm2:135m": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "all-minilm": "all-MiniLM-L6-v2.f16.gguf",
    "gemma3:270m": "gemma-3-270m-q4_k_m.gguf",
    "tiny": "stories260K.f32.gguf",
}
OTHER_END = re.compile(r"[a-z.0-9\[\]]*(done|finish)_reason: want '(stop|length)', got '(stop|length)'")
OPTIONAL = {"gemma3:270m": {"show-gemma3"}}
"""Models that are not fetched for the tests, with the samples that need them."""


def recordings() -> Path:
    """The folder with the recordings; the test is skipped without one."""
    named = os.environ.get("LCRT_CONFORMANCE_DIR")
    if not named:
        pytest.skip("LCRT_CONFORMANCE_DIR names no folder with recordings")
    folder = Path(named)
    return folder if (folder / "replay.py").is_file() else folder / "golden"


def model_files(folder: Path) -> dict[str, Path]:
    """Where the models are: fetched into build/, or beside the recordings."""
    places = (MODELS, folder / "models", folder.parent / "models")
    found: dict[str, Path] = {}
    for name, file in SEEDS.items():
        path = next((place / file for place in places if (place / file).is_file()), None)
        if path is not None:
            found[name] = path
        elif name not in OPTIONAL:
            pytest.fail(f"{file} is in none of {', '.join(map(str, places))}")
    return found


@contextmanager
def daemon(directory: Path) -> Iterator[int]:
    """Run the daemon on an empty store; yields its port."""
    environ = os.environ | {
        "LCRT_HOST": "127.0.0.1:0",
        "LCRT_MODELS": str(directory / "models"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, str(Path(__file__).with_name("daemon.py"))]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=log)
        with process:
            try:
                yield int(process.stdout.readline() if process.stdout else 0)
            finally:
                process.terminate()


def replay(folder: Path, port: int, seeds: dict[str, Path]) -> dict[str, str]:
    """Send every recorded request; returns what differs by sample."""
    command = [sys.executable, str(folder / "replay.py"), "--base", f"http://127.0.0.1:{port}"]
    for name, path in seeds.items():
        command += ["--seed", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    *lines, last = done.stdout.splitlines() or [done.stderr]
    if not re.fullmatch(r"\d+ passed, \d+ failed", last):
        pytest.fail(f"the replay broke off: {last}")
    return {name: difference for name, _, difference in (line.partition(": ") for line in lines)}


@pytest.mark.timeout(900)
def test_answers_are_those_of_the_recordings_but_for_the_listed_ones(tmp_path: Path) -> None:
    folder = recordings()
    seeds = model_files(folder)
    missing = {sample for name, samples in OPTIONAL.items() if name not in seeds for sample in samples}
    with daemon(tmp_path) as port:
        differing = replay(folder, port, seeds)
    ends = {name for name in UNSTEADY if OTHER_END.fullmatch(differing.get(name, ""))}
    expected = EXCEPTIONS.keys() | missing | ends
    assert {name: text for name, text in differing.items() if name not in expected} == {}
    assert sorted(EXCEPTIONS.keys() - differing.keys()) == [], "these pass now: take them off the list"
