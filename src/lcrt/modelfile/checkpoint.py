"""Whether a checkpoint can be converted whose small files are in the store already."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from lcrt.convert.look import look
from lcrt.errors import InvalidRequest, StoreError
from lcrt.modelfile.quantize import target_type
from lcrt.store.failure import store_error
from lcrt.store.store import Store

_CONFIG = "config.json"


def check_checkpoint(store: Store, files: Mapping[str, str], target: str = "") -> None:
    """Refuse files, digests by name, that no model can be made of, or none whose weights are of the type ``target``.

    `config.json` alone says what kind of model it is; with others the tokenizer must be among them. The weights
    are not looked for. Names are paths below a folder. UnsupportedModel or InvalidRequest says why; StoreError that
    nothing could be looked at.
    """
    try:
        target_type(target)
    except StoreError as error:
        raise InvalidRequest(error.message, "without a tag the weights keep their type") from error
    try:
        with tempfile.TemporaryDirectory(prefix="lcrt-look-") as name:
            _lay_out(Path(name), store, files)
            look(Path(name), config_only=files.keys() == {_CONFIG})
    except OSError as error:
        raise store_error(f"cannot lay out the files in {tempfile.gettempdir()}", error) from error


def _lay_out(folder: Path, store: Store, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(store.blobs.path(digest).absolute())
