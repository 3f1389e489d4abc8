"""Loads a model in a runner, says the number of its process as soon as the load goes on, and stays.

Arguments: the model's path, then the runner's command.
"""

import sys

import anyio

from lcrt.core.model import LoadRequest, ModelSpec
from lcrt.core.options import LoadOptions
from lcrt.runner.client import RunnerClient
from lcrt.runner.spawn import spawn


async def main(path: str, command: list[str]) -> None:
    client = await RunnerClient.connect(spawn(command), lambda: None)
    request = LoadRequest(ModelSpec("letters", path, "0", 1), LoadOptions())
    await client.load(request, lambda _: print(client.pid, flush=True))  # noqa: T201
    await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2:])
