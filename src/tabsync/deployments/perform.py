"""Runs the command of a deployment, holding the lock of the guard, and watches its sessions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.deployments.begin import GUARD, LIMITS, check_none_begun, check_none_failed
from tabsync.deployments.besides import changed_objects, objects_now
from tabsync.deployments.command import show_on, started
from tabsync.deployments.prepared import prepared
from tabsync.deployments.watch import Watch, processes_of
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.migrations.before import note_before
from tabsync.migrations.find import histories
from tabsync.migrations.there import search_path
from tabsync.postgres.catalog import prove_target
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.postgres.connect import Connection
    from tabsync.workspace import Context

_SQL = named(__package__, "deployments.sql")
_LOOK = 0.1  # seconds between two looks at its sessions
_AGAIN = 1.0  # seconds between two tries to get the guard's session back
_KEPT = 50  # lines of its output that are recorded
COMMAND = "command"
"""Under this name the words of the command are among the workspace's secrets: a password may be in them."""


def perform(context: Context, *, target: Facts, folder: str | None, bounds: Facts, stream: str) -> Facts:
    """Run it to its end. Whether it succeeded is a fact and no error: what it did is looked at either way.

    bounds: in seconds, "lock" that a statement of it may wait for a lock, "budget" that others may wait for it before
    its statement is cancelled (None for no such bound), "wait" for another deployment; stream: "stdout" or "stderr".
    Raises Refused when another one runs, or has failed meanwhile; BadUsage when there is no such program.
    """
    argv = json.loads(context.workspace.secrets[COMMAND])
    found = prepared(context.workspace, os.environ, target, context.run_id, bounds["lock"])
    say = show_on(sys.stderr)
    for told in found.told:
        say(f"note: {told}")
    show = show_on(sys.stdout if stream == "stdout" else sys.stderr)
    path = search_path(context.workspace)
    with context.workspace.connect("deployments", LIMITS) as connection:
        enter(context, connection, target, folder, path, bounds)
        objects = objects_now(context.workspace)
        watch = Watch(connection, context.run_id, found.name, say, bounds["budget"])
        begun = again = time.monotonic()
        with started(argv, found.environment, show) as command:
            while True:
                try:
                    command.process.wait(_LOOK)
                    break
                except subprocess.TimeoutExpired:
                    watch.look()
                    if watch.lost and time.monotonic() - again > _AGAIN:
                        again = time.monotonic()
                        watch.go_on(context.workspace, GUARD)
        goes_on = _wait_for_rest(context.run_id, bounds["wait"], watch)
        seconds = time.monotonic() - begun
    if not watch.sessions:
        watch.say(
            "note: the sessions of the command were not seen: too short, or a pooler or another network is between"
        )
    code = command.process.returncode
    return {
        "exit": code if code >= 0 else 128 - code,  # as a shell says it of a signal
        "seconds": round(seconds, 3),
        "lock_timeout": found.passed,
        "not_passed": found.told,
        "goes_on": goes_on,
        "changed": changed_objects(objects, objects_now(context.workspace)),
        "output": list(command.lines)[-_KEPT:],
        **watch.to_json(),
    }


def _wait_for_rest(run_id: str, seconds: float, watch: Watch) -> list[int]:
    """Wait for what the command has left running in the background; gives the processes that still do."""
    until, told = time.monotonic() + seconds, False
    while left := [one.pid for one in processes_of(run_id)]:
        if not told:
            watch.say(f"the command has ended, and what it started goes on: process {', '.join(map(str, left))}")
        told = True
        if time.monotonic() >= until:
            return left
        watch.look()
        time.sleep(_LOOK)
    return []


def enter(
    context: Context, connection: Connection, target: Facts, folder: str | None, path: list[str], bounds: Facts
) -> None:
    """Take the lock of the guard, look once more, and note what of the pending migrations is there before they run.

    path: the schemas of names without one; bounds: as perform() takes them. Raises Refused as check_begin() does.
    """
    prove_target(connection, target)
    _take_guard(connection, bounds["wait"])
    both, _ = histories(connection, Path(folder) if folder else None)
    check_none_failed([one for _, one in both], folder)
    if not bounds.get("begun"):
        check_none_begun(connection, both, path, folder)
    note_before(connection, context.workspace.ledger(), target, both, path, context.run_id)


def _take_guard(connection: Connection, seconds: float) -> None:
    """Take the lock of the guard, and wait so long for another one. Raises Refused when that takes longer."""
    until = time.monotonic() + seconds
    while not (connection.execute(_SQL["guard"], {"number": GUARD}).fetchone() or (False,))[0]:
        if time.monotonic() >= until:
            raise Refused("another deployment runs under guard", "tabsync migration status; or wait: --wait 10min")
        time.sleep(_LOOK)
