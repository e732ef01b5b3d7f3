"""Asking a run to end: a process by SIGTERM, which unwinds like Ctrl-C; a thread among others by a file it looks for.

Whether the run's process lives is said by the kernel, which holds its claim; so the pid on record is that process.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.open import Ledger
from tabsync.ledger.runs import mark_interrupted, one_run
from tabsync.system.claims import is_claimed

THREAD = "thread"
"""The file in a run's claim that says that it is a thread of a process that does more."""

STOP = "stop"
"""The file in a claim by which somebody asks a thread to end."""

_LOOK = 0.2  # seconds between two looks at whether it has ended


def ask_to_stop(ledger: Ledger, run_id: str, who: str) -> Facts:
    """Ask a run to end, and return it; it may take its time, since it takes away what was half made.

    run_id: "latest" is the newest. Raises BadUsage when there is no such run, Refused when it doesn't run, or not on
    this machine, NotAllowed when its process is somebody else's.
    """
    mark_interrupted(ledger)
    found = one_run(ledger, run_id)
    if found is None:
        raise BadUsage(f"there is no run {run_id!r}", "tabsync run list")
    known, place = found["id"], ledger.claims / found["id"]
    if found["state"] != "running":
        raise Refused(f"run {known} does not run any more: {found['state']}", f"tabsync run show {known}")
    ours = [one["id"] for one in ledger.read("running", **ledger.here)]
    # Two containers may have the same home: there, its process has another number.
    if known not in ours or found["host"] != socket.gethostname():
        raise Refused(f"run {known} is on {found['host']}, of another home", f"there: tabsync run stop {known}")
    if not is_claimed(place):
        return found  # it ended between the two looks
    if not found["pid"]:
        raise Refused(f"run {known} is a thread that can't be asked to end: its disk is full", "stop tabsync serve")
    add_audit(ledger, who, "run stop", str(found["target"].get("database", "")), {"run": known})
    try:
        if (place / THREAD).exists():
            (place / STOP).write_text(who, encoding="utf-8")
        else:
            os.kill(found["pid"], signal.SIGTERM)  # SIGINT is ignored by what a script started in the background
    except (ProcessLookupError, FileNotFoundError):
        pass  # it ended just now
    except PermissionError:
        raise NotAllowed(f"run {known} is of another user's process {found['pid']}", "ask as that user") from None
    return found


def wait_until_ended(ledger: Ledger, run_id: str, seconds: float) -> Facts | None:
    """The run once it has ended; None when it runs still."""
    until = time.monotonic() + seconds
    while True:
        mark_interrupted(ledger)
        found = one_run(ledger, run_id)
        if found is not None and found["state"] != "running":
            return found
        if time.monotonic() > until:
            return None
        time.sleep(_LOOK)


def who_stops(place: Path) -> str:
    """Who asked the run of that claim to end; "" when nobody did."""
    try:
        return (place / STOP).read_text(encoding="utf-8") or "somebody"
    except OSError:
        return ""
