"""The daemon as it is, on a free port that it prints."""

import asyncio
import os

from lcrt import log
from lcrt.config.settings import load_settings
from lcrt.server.serve import serve

if __name__ == "__main__":
    log.setup("info")
    settings = load_settings(os.environ)
    asyncio.run(serve(settings, "test", on_listening=lambda address: print(address.port, flush=True)))  # noqa: T201
