"""``lcrt store``: look after the folder where models are kept."""

import argparse
from collections.abc import Callable

from lcrt.cli.app import UsageError
from lcrt.cli.local import local_store
from lcrt.cli.output.bars import steps
from lcrt.cli.output.table import lines, table
from lcrt.cli.output.terminal import put, say
from lcrt.store.check import Findings, check
from lcrt.store.prune import Ages
from lcrt.store.space import space
from lcrt.units import human_bytes

_SHOWN_DIGITS = len("sha256:") + 12
_WORDS = """\
check   read every byte and compare it with its digest; follow every reference
gc      remove what no model needs: unreferenced blobs older than an hour, downloads that broke off a week ago
du      show what takes how much space"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the action and its flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _WORDS
    parser.add_argument("action", choices=("check", "gc", "du"), metavar="check | gc | du", help="what to do")
    parser.add_argument("--repair", action="store_true", help="check: set damaged files aside")
    parser.add_argument("--all", action="store_true", help="gc: whatever its age, but nothing that is in use")


def run(given: argparse.Namespace) -> int:
    """Do it; exit code 1 when a check finds something."""
    actions: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
        "check": (_check, "repair"),
        "gc": (_collect, "all"),
        "du": (_show, ""),
    }
    action, own_flag = actions[given.action]
    for flag in ("repair", "all"):
        if getattr(given, flag) and flag != own_flag:
            raise UsageError(f"--{flag} is not for '{given.action}'\nRun 'lcrt store --help' for usage.")
    return action(given)


def _check(given: argparse.Namespace) -> int:
    store = local_store()
    with steps() as shown:
        findings = check(
            store,
            repair=given.repair,
            watch=lambda digest, done, total: shown.update(f"checking {digest[:_SHOWN_DIGITS]}", done, total),
        )
    put(_report(findings, repaired=given.repair))
    return 1 if findings.problems else 0


def _report(findings: Findings, *, repaired: bool) -> str:
    text = f"{findings.n_models} models, {findings.n_blobs} blobs, {human_bytes(findings.size)}: "
    if not findings.problems:
        return text + "all is well\n"
    text += f"{len(findings.problems)} problems\n"
    text += "".join(f"  {problem.text}\n" for problem in findings.problems)
    if findings.aside:
        text += "set aside:\n" + "".join(f"  {path}\n" for path in findings.aside)
    if findings.again:
        text += "pull or create again: " + " ".join(findings.again) + "\n"
    elif not repaired:
        text += "`lcrt store check --repair` sets damaged files aside\n"
    return text


def _collect(given: argparse.Namespace) -> int:
    found = local_store().collect(Ages(blob=-1, partial=-1) if given.all else None)
    if found.refusal:
        say(f"Error: nothing is removed while a manifest cannot be read: {found.refusal}")
        say("`lcrt store check --repair` sets it aside")
        return 1
    put(f"removed {found.n_files} files, {human_bytes(found.size)}\n")
    return 0


def _show(given: argparse.Namespace) -> int:
    del given
    found = space(local_store())
    rows = [
        (share.name, human_bytes(share.size), human_bytes(share.own), human_bytes(share.elsewhere))
        for share in found.shares
    ]
    put(table(("name", "size", "not shared", "lies elsewhere"), rows))
    totals = {
        "models": found.models,
        "no model needs": found.unreferenced,
        "downloads in parts": found.partial,
        "set aside": found.aside,
        "on disk": found.total,
        "used where they lie": found.elsewhere,
    }
    put("\n" + lines([(name, human_bytes(size)) for name, size in totals.items()]))
    return 0
