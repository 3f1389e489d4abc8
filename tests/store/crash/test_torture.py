"""A process killed at every step loses nothing that was published; neither does a power cut.

``make torture`` does the same at many more points.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.crash import full

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(120)
"""They take seconds, and each of them many processes, which a busy machine may keep waiting."""

N_PARTS = 16
"""One plan each: as many as ``plans.fixed`` has."""

N_POINTS = 80


def torture(*arguments: str, module: str = "torture") -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, which may fork."""
    command = [sys.executable, "-m", f"tests.store.crash.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("part", range(N_PARTS))
def test_nothing_is_lost_or_spoilt_wherever_a_process_is_killed(part: int) -> None:
    done = torture("--points", str(N_POINTS), "--part", f"{part}/{N_PARTS}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_lost_or_spoilt_wherever_a_daemon_is_killed() -> None:
    done = torture("--points", "60", module="daemon")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_full_disk_spoils_nothing_at_any_size() -> None:
    done = torture(module="full")
    if done.returncode == full.CANNOT_MOUNT:
        pytest.skip("a file system of a given size cannot be mounted here")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_full_disk_ends_a_pull_that_goes_on_later_and_no_push() -> None:
    done = torture(module="full_pull")
    if done.returncode == full.CANNOT_MOUNT:
        pytest.skip("a file system of a given size cannot be mounted here")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_store_that_cannot_be_written_can_be_used() -> None:
    done = torture(module="readonly")
    if done.returncode == full.CANNOT_MOUNT:
        pytest.skip("a store cannot be mounted read-only here")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_daemons_and_a_command_on_one_store_do_not_hurt_each_other() -> None:
    done = torture(module="crowd")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mistake", "plan"),
    [
        ("unsynced_blob", "create"),
        ("unsynced_copy", "create from a file here"),
        ("unsynced_share", "create from a shared file"),
        ("unsynced_result", "create, converted"),
        ("unsynced_result", "create, quantized"),
        ("unsynced_link", "create from a link"),
        ("unsynced_name", "copy"),
        ("manifest_in_place", "copy"),
        ("blobs_first", "delete"),
        ("leftovers_stay", "create"),
    ],
)
def test_a_planted_mistake_is_found(mistake: str, plan: str) -> None:
    done = torture("--points", "0", "--mistake", mistake, "--plan", plan)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Point(" in done.stdout
