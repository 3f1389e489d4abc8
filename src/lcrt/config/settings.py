"""All settings of lcrt, resolved once when it starts.

For each, the first of these that has it decides: flag, ``LCRT_<NAME>``, ``OLLAMA_<NAME>``, the
settings file (``LCRT_CONFIG`` or the default one), the default. A value that cannot be read is a
ConfigError that names its place.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from lcrt.config import env, paths
from lcrt.config.address import Address
from lcrt.config.env import clean
from lcrt.config.sources import Environment, File, Flags, Source
from lcrt.core.model import Speculation
from lcrt.errors import ConfigError
from lcrt.units import FOREVER, format_duration

_DEFAULT = "default"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Values of all settings. Times are seconds, forever is infinite; a count of 0 is chosen at run time.

    ``prefill_latency`` is how long one step may keep running streams waiting for a prompt; the text of
    streams leaves the engine every ``stream_interval``, 0 for every token at once; ``debug`` is 0, 1 or 2;
    ``max_body`` is the most bytes of a request, blobs aside. What prompts computed is kept in
    ``cache_ram`` bytes of host memory, None for a tenth of it, and in ``cache_disk`` bytes of files below
    ``cache_dir``; 0 turns either off. ``speculation`` says where tokens are guessed from that are computed along
    with others. ``sources`` says for each name where its value came from.
    """

    host: Address = Address()
    models: Path = msgspec.field(default_factory=paths.models_directory)
    keep_alive: float = 300.0
    load_timeout: float = 300.0
    max_loaded_models: int = 0
    max_queue: int = 512
    num_parallel: int = 0
    context_length: int = 0
    flash_attention: bool | None = None
    kv_cache_type: str = "f16"
    origins: tuple[str, ...] = ()
    noprune: bool = False
    nohistory: bool = False
    debug: int = 0
    prefill_latency: float = 0.1
    stream_interval: float = 0.016
    pull_parts: int = 0
    limit_rate: int = 0
    registry_mirror: tuple[str, ...] = ()
    offline: bool = False
    max_body: int = 128 << 20
    cache_ram: int | None = None
    cache_disk: int = 8 << 30
    cache_dir: Path = msgspec.field(default_factory=paths.cache_directory)
    speculation: Speculation = "auto"
    sources: dict[str, str] = {}

    def source(self, name: str) -> str:
        """Say where a value came from."""
        return self.sources.get(name, _DEFAULT)

    def explain(self) -> str:
        """List every value with its source, one to a line."""
        rows = [(name, _spell(getattr(self, name)), self.source(name)) for name in _PARSERS]
        name_width, value_width = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{name:<{name_width}}  {value:<{value_width}}  {source}" for name, value, source in rows)


_PARSERS: dict[str, Callable[[str], object]] = {
    "host": Address.parse,
    "models": env.directory,
    "keep_alive": env.seconds,
    "load_timeout": env.timeout,
    "max_loaded_models": env.count,
    "max_queue": env.count,
    "num_parallel": env.count,
    "context_length": env.count,
    "flash_attention": env.boolean_or_auto,
    "kv_cache_type": env.cache_type,
    "origins": env.words,
    "noprune": env.boolean,
    "nohistory": env.boolean,
    "debug": env.debug_level,
    "prefill_latency": env.latency,
    "stream_interval": env.interval,
    "pull_parts": env.count,
    "limit_rate": env.size,
    "registry_mirror": env.mirrors,
    "offline": env.boolean,
    "max_body": env.size,
    "cache_ram": env.budget,
    "cache_disk": env.budget,
    "cache_dir": env.directory,
    "speculation": env.speculation,
}


def load_settings(environ: Mapping[str, str], flags: Mapping[str, object | None] | None = None) -> Settings:
    """Resolve all settings; flags are by setting name, None where not given."""
    named = clean(environ.get("LCRT_CONFIG", ""))
    path = Path(named).expanduser() if named else paths.config_file()
    sources: tuple[Source, ...] = (
        Flags(flags or {}),
        Environment("LCRT_", environ),
        Environment("OLLAMA_", environ),
        File(path, _PARSERS, must_exist=bool(named)),
    )
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for name, parse in _PARSERS.items():
        found = next(filter(None, (source.text(name) for source in sources)), None)
        if found is not None:
            values[name] = _value(parse, *found)
            origins[name] = found[1]
    return msgspec.structs.replace(Settings(), **values, sources=origins)


def _value(parse: Callable[[str], object], text: str, label: str) -> object:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{label}: cannot use `{text}`: {error}") from error


def _spell(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return "forever" if value == FOREVER else format_duration(value)
        case None:
            return "auto"
        case tuple():
            return ",".join(value) or "-"
    return str(value)
