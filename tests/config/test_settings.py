from collections.abc import Mapping
from pathlib import Path

import pytest

from lcrt.config.settings import Settings, load_settings
from lcrt.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(home: Path, text: str) -> Path:
    path = home / ".config" / "lcrt" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_everything_has_a_default(home: Path) -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert settings.models == home / ".lcrt" / "models"
    assert settings.host.url == "http://127.0.0.1:11434"
    assert (settings.keep_alive, settings.load_timeout, settings.max_queue) == (300.0, 300.0, 512)
    assert (settings.num_parallel, settings.context_length, settings.prefill_latency) == (0, 0, 0.1)
    assert settings.source("keep_alive") == "default"


def test_each_source_gives_way_to_the_one_above(home: Path) -> None:
    path = write(home, "max_queue = 1\n")
    environ: dict[str, str] = {}
    flags: dict[str, object | None] = {"max_queue": None}
    seen = [resolved(environ, flags)]
    environ["OLLAMA_MAX_QUEUE"] = "2"
    seen.append(resolved(environ, flags))
    environ["LCRT_MAX_QUEUE"] = "3"
    seen.append(resolved(environ, flags))
    flags["max_queue"] = 4
    seen.append(resolved(environ, flags))
    sources = [f"{path}: max_queue", "OLLAMA_MAX_QUEUE", "LCRT_MAX_QUEUE", "--max-queue"]
    assert seen == list(enumerate(sources, start=1))


def resolved(environ: Mapping[str, str], flags: Mapping[str, object | None]) -> tuple[int, str]:
    settings = load_settings(environ, flags)
    return settings.max_queue, settings.source("max_queue")


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = load_settings({"LCRT_KEEP_ALIVE": " ", "OLLAMA_KEEP_ALIVE": "'10m'"})
    assert (settings.keep_alive, settings.source("keep_alive")) == (600.0, "OLLAMA_KEEP_ALIVE")


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"LCRT_MAX_QUEUE": "many"}, "LCRT_MAX_QUEUE"),
        ({"OLLAMA_NOPRUNE": "perhaps"}, "OLLAMA_NOPRUNE"),
        ({"OLLAMA_HOST": "h:x"}, "OLLAMA_HOST"),
    ],
)
def test_a_value_that_cannot_be_read_is_an_error_that_names_its_place(environ: dict[str, str], place: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(environ)
    assert refused.value.message.startswith(f"{place}: cannot use `{environ[place]}`: ")


def test_a_variable_that_is_overruled_need_not_be_readable() -> None:
    assert load_settings({"LCRT_MAX_QUEUE": "7", "OLLAMA_MAX_QUEUE": "many"}).max_queue == 7


def test_the_file_holds_typed_values(home: Path) -> None:
    write(home, 'debug = true\norigins = ["http://a", "b://*"]\nkeep_alive = "1h"\nnum_parallel = 4\nmodels = "~/m"\n')
    settings = load_settings({})
    assert (settings.debug, settings.origins, settings.keep_alive) == (1, ("http://a", "b://*"), 3600.0)
    assert (settings.num_parallel, settings.models) == (4, home / "m")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_queu = 1", "unknown setting `max_queu`"),
        ("= 1", "is not TOML"),
        ('max_queue = "x"', "max_queue: cannot use"),
    ],
)
def test_a_wrong_file_is_an_error(home: Path, text: str, reason: str) -> None:
    write(home, text)
    with pytest.raises(ConfigError, match=reason):
        load_settings({})


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such settings file"):
        load_settings({"LCRT_CONFIG": str(tmp_path / "none.toml")})
    (tmp_path / "own.toml").write_text("max_queue = 9")
    assert load_settings({"LCRT_CONFIG": str(tmp_path / "own.toml")}).max_queue == 9


def test_where_guesses_come_from_is_one_of_some() -> None:
    assert load_settings({"LCRT_SPECULATION": "OFF"}).speculation == "off"
    assert load_settings({"LCRT_SPECULATION": "lookup"}).speculation == "lookup"
    with pytest.raises(ConfigError, match="must be one of auto, lookup, off"):
        load_settings({"LCRT_SPECULATION": "perhaps"})


def test_explaining_lists_every_value_with_its_source() -> None:
    text = load_settings({"OLLAMA_KEEP_ALIVE": "-1", "LCRT_ORIGINS": "a,b"}, {"debug": True}).explain()
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert rows["keep_alive"] == ["forever", "OLLAMA_KEEP_ALIVE"]
    assert rows["origins"] == ["a,b", "LCRT_ORIGINS"]
    assert rows["debug"] == ["1", "--debug"]
    assert rows["flash_attention"] == ["auto", "default"]
    assert rows["prefill_latency"] == ["100ms", "default"]
    assert rows["stream_interval"] == ["16ms", "default"]
    assert set(rows) == set(Settings.__struct_fields__) - {"sources"}
