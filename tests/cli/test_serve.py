from pathlib import Path

import pytest

from tests.cli.conftest import Lcrt


@pytest.mark.parametrize("name", ["serve", "start"])
def test_show_config_names_every_value_and_its_source(
    lcrt: Lcrt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LCRT_HOST", "127.0.0.1:1")
    monkeypatch.setenv("OLLAMA_MAX_QUEUE", "7")
    result = lcrt(name, "--show-config", "--models", "/m")
    rows = {row.split()[0]: row.split()[1:] for row in result.out.splitlines()}
    assert result.code == 0
    assert rows["host"] == ["http://127.0.0.1:1", "LCRT_HOST"]
    assert rows["models"] == ["/m", "--models"]
    assert rows["max_queue"] == ["7", "OLLAMA_MAX_QUEUE"]
    assert rows["keep_alive"][-1] == "default"


def test_a_setting_that_cannot_be_read_is_an_error(lcrt: Lcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCRT_MAX_QUEUE", "many")
    result = lcrt("serve", "--show-config")
    assert result.code == 1
    assert "LCRT_MAX_QUEUE: cannot use `many`" in result.err
