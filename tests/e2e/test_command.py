"""The command line with a real model."""

import json
from pathlib import Path

from tests.e2e.conftest import Daemon, add_smollm2, lcrt, start_daemon, stop_daemon


def test_run_answers_a_prompt(daemon: Daemon) -> None:
    answer = lcrt(daemon.env, "run", "smollm2", "What is the capital of France?")
    assert answer.returncode == 0, answer.stderr
    assert "Paris" in answer.stdout


def test_run_puts_piped_text_in_front_of_the_prompt(daemon: Daemon) -> None:
    answer = lcrt(daemon.env, "run", "smollm2", "--verbose", stdin="What is the capital of France?")
    assert "Paris" in answer.stdout
    assert "eval rate:" in answer.stderr


def test_list_and_ps_and_show_tell_of_the_model(daemon: Daemon) -> None:
    lcrt(daemon.env, "run", "smollm2", "Hi")
    listed = lcrt(daemon.env, "list").stdout
    assert listed.split()[:4] == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert "smollm2:latest" in listed
    assert "smollm2:latest" in lcrt(daemon.env, "ps").stdout
    assert "134.52M" in lcrt(daemon.env, "show", "smollm2").stdout


def test_a_wrong_name_says_what_to_do(daemon: Daemon) -> None:
    answer = lcrt(daemon.env, "show", "nosuch")
    assert answer.returncode == 1
    assert "not found" in answer.stderr


def test_a_wrong_option_is_a_usage_error(daemon: Daemon) -> None:
    assert lcrt(daemon.env, "run", "--nosuch").returncode == 2


def test_a_command_without_a_daemon_says_how_to_start_one(daemon: Daemon) -> None:
    answer = lcrt({**daemon.env, "LCRT_HOST": "127.0.0.1:9"}, "list")
    assert answer.returncode == 1
    assert "lcrt serve" in answer.stderr


def test_run_starts_a_daemon_for_as_long_as_it_needs_it(tmp_path: Path) -> None:
    started = start_daemon(tmp_path)
    add_smollm2(started, tmp_path)
    assert stop_daemon(started) == 0
    answer = lcrt(started.env, "run", "smollm2", "What is the capital of France?")
    assert "Paris" in answer.stdout, answer.stderr
    assert lcrt(started.env, "list").returncode == 1


def test_bench_measures_the_engine(daemon: Daemon) -> None:
    model = Path(__file__).resolve().parents[2] / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    measured = lcrt(daemon.env, "bench", str(model), "--json")
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)
