"""The process that reads what a folder says of its model."""

import sys
from pathlib import Path

from lcrt.convert.config import read_config
from lcrt.convert.families import find_family
from lcrt.convert.fp8 import check_method
from lcrt.convert.look import Task
from lcrt.task import child


def look_at(folder: Path, *, config_only: bool) -> None:
    """Work out everything but the tensors' bytes; what is wrong is raised."""
    config = read_config(folder)
    family = find_family(config)
    check_method(config)
    family.tensors(config)
    family.metadata(config)
    if not config_only:
        family.vocabulary(folder, config)


if __name__ == "__main__":
    sys.exit(child.serve(lambda task: look_at(Path(task.folder), config_only=task.config_only), Task))
