"""tabsync migration rehearse: the command of a deployment, run on a copy of the newest backup, and measured."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.copies.choose import full_backup
from tabsync.copies.proofs.steps import proof_steps, tidy_step
from tabsync.deployments.begin import LIMITS
from tabsync.deployments.command import Command, show_on, started
from tabsync.deployments.elsewhere import Elsewhere, sessions_since
from tabsync.deployments.guard import shown_command
from tabsync.deployments.held import Held, files, rewritten
from tabsync.deployments.perform import COMMAND
from tabsync.deployments.pointed import check_nowhere_else, pointed, url_of
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.migrations.find import histories
from tabsync.migrations.folder import with_folder
from tabsync.migrations.histories.history import State
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabsync.deployments.request import Rehearse
    from tabsync.workspace import Context, Workspace

EVIDENCE = "rehearsal"
_LOOK = 0.05  # seconds between two looks at the locks
_KEPT = 50  # lines of its output that are recorded
_COPIED = ("fetch", "scratch", "restore")
_LISTENS = {"listen_addresses": "127.0.0.1", "log_connections": "on", "lc_messages": "C"}


def plan_rehearse(
    workspace: Workspace, request: Rehearse, environment: Mapping[str, str], *, stream: str
) -> Planned[Workspace]:
    """Plan it: restore a copy, run the command there, delete the copy. Raises BadUsage when there is no backup."""
    request = with_folder(workspace, request)
    if not request.command:
        raise BadUsage("no command is given", "tabsync migration rehearse -- npx prisma migrate deploy")
    manifest = full_backup(workspace, request.backup)
    workspace.keys.require_identity(manifest.encryption.get("recipients", ()))
    scratch = f"rehearsal-{compact(now())}-{secrets.token_hex(2)}"
    copying = [one for one in proof_steps(workspace, manifest.id, scratch, manifest.source, []) if one.key in _COPIED]
    folder = str(request.folder.absolute()) if request.folder else None
    shown = shown_command(request.command, environment)
    database = manifest.source["database"]
    arguments = {
        "backup": manifest.id,
        "scratch": scratch,
        "database": database,
        "subject": subject_of(manifest.source),
    }
    running = Step(
        "rehearse",
        "Run the command on the copy, and measure",
        call(rehearse, **arguments, folder=folder, stream=stream),
        f"{shown}\n-- every connection string in its environment leads to the copy",
        Risk.REVERSIBLE,
        "the copy is deleted at the end",
    )
    title = f"Rehearse on a copy of {manifest.id}: {shown}"
    kept = replace(workspace, secrets={**workspace.secrets, COMMAND: json.dumps(request.command)})
    plan = Plan("migration rehearse", title, (*copying, running, tidy_step(scratch)), manifest.source)
    return Planned(plan, workspace=kept)


def rehearse(
    context: Context, *, backup: str, scratch: str, database: str, subject: str, folder: str | None, stream: str
) -> Facts:
    """Run the command on the copy. Raises ProblemFound when it fails, Refused when it went to the real database."""
    workspace = context.workspace
    server = embedded.opened(workspace.scratch(scratch), settings=_LISTENS)
    embedded.stop(server)
    embedded.start(server)  # as PostgreSQL comes, and not tuned for a restore: so that what is measured is comparable
    say, show = show_on(sys.stderr), show_on(sys.stdout if stream == "stdout" else sys.stderr)
    copy = server.tcp_conninfo(database)
    port = int(str(conninfo_to_dict(copy)["port"]))
    url = url_of(copy)
    environment = pointed(os.environ, url, copy, context.run_id)
    check_nowhere_else(environment, url, workspace.conninfo)
    argv = json.loads(workspace.secrets[COMMAND])
    log = server.log.stat().st_size
    with (
        connect(copy, "rehearsal", limits=LIMITS) as connection,
        Elsewhere(workspace, context.run_id, port) as elsewhere,
    ):
        held, before = Held(connection), files(connection)
        begun = time.monotonic()
        with started(argv, environment, show) as command:
            _until_ended(command, held, elsewhere)
        seconds = time.monotonic() - begun
        code = command.process.returncode
        facts: Facts = {
            "backup": backup,
            "exit": code if code >= 0 else 128 - code,
            "seconds": round(seconds, 3),
            "locks": held.to_json(),
            "rewritten": rewritten(before, files(connection)),
            "output": list(command.lines)[-_KEPT:],
            "watched": elsewhere.watches,
            **_states(copy, folder),
        }
        changed = elsewhere.changed()
    came = sessions_since(server.log, log)
    ok = facts["exit"] == 0 and not facts["failed"] and not elsewhere.found and came > 0 and changed == ""
    facts |= {"sessions": came, "real_database": changed or ("not changed" if elsewhere.watches else "unknown")}
    add_evidence(workspace.ledger(), EVIDENCE, subject, ok=ok, facts=facts, run_id=context.run_id)
    if elsewhere.found:
        raise Refused(
            f"the command connected to the real database (session {elsewhere.found}) and was ended",
            "see what it did: tabsync migration status; it has to take its database from DATABASE_URL or PG* variables",
        )
    if changed:
        raise Refused(
            f"while the command ran, the real database changed: {changed}",
            "see whether it was the command: tabsync migration status; it has to take its database from DATABASE_URL",
        )
    if facts["exit"] == 0 and came == 0:
        raise ProblemFound(
            "the command ended with 0 and never connected to the copy, so nothing was rehearsed",
            "let it take its database from DATABASE_URL or the PG* variables",
        )
    if not ok:
        say(f"note: the copy is deleted; to look at one like it: tabsync restore new --from {backup}")
        failed = f": {facts['failed'][0]} has failed" if facts["failed"] else ""
        raise ProblemFound(
            f"the rehearsal failed with exit code {facts['exit']}{failed}", "mend it, and rehearse again"
        )
    return facts


def _until_ended(command: Command, held: Held, elsewhere: Elsewhere) -> None:
    while True:
        try:
            command.process.wait(_LOOK)
            return
        except subprocess.TimeoutExpired:
            held.look()
            if elsewhere.look():
                command.kill()


def _states(copy: str, folder: str | None) -> Facts:
    """What the histories of the copy say by now."""
    try:
        with connect(copy, "rehearsal", limits=Limits(lock_timeout=1_000, statement_timeout=10_000)) as connection:
            both, _ = histories(connection, Path(folder) if folder else None)
    except psycopg.Error as error:
        return {"applied": [], "failed": [], "pending": [], "unknown": " ".join(str(error).split())}
    every = [one for _, one in both]
    return {
        "applied": [each.name for one in every for each in one.of(State.APPLIED)],
        "failed": [each.name for one in every for each in one.of(State.FAILED, State.RUNNING)],
        "pending": [each.name for one in every for each in one.of(State.PENDING)],
    }
