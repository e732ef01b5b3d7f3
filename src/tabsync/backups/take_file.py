"""tabsync backup take ... --format custom | plain --file FILE: one file, for pg_restore or psql by hand.

It is outside the store: nothing lists, proves or prunes it. Without parallel workers it takes several times as long.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.readable import readable
from tabsync.copies.dumps.contents import Contents, Kind, pattern
from tabsync.copies.dumps.dump_failed import LOCK_WAIT, dump_failed
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres import catalog
from tabsync.postgres.catalog import prove_target
from tabsync.postgres.connect import check_harmless, program_environment
from tabsync.postgres.installation import Installation, clients_for
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


def plan_take_file(workspace: Workspace, kind: Kind, tables: Sequence[str], form: str, file: Path) -> Plan:
    """Plan a dump into one file.

    kind: what it holds; tables: for the kind "tables", those alone, as `pg_dump --table` writes them; form: "custom"
    or "plain". Raises BadUsage (no such table), Refused (the file is there already, or its directory isn't),
    CannotConnect, NotAllowed (naming what the user may not read). Nothing is changed.
    """
    file = file.absolute()
    if file.exists():
        raise Refused(f"{file} already exists", "choose another name")
    if not file.parent.is_dir():
        raise Refused(f"{file.parent} is not a directory", f"mkdir -p {shlex.quote(str(file.parent))}")
    with workspace.connect("backup") as connection:
        check_harmless(connection)
        target = catalog.identity(connection)
        named = [catalog.relation_named(name) for name in tables]
        wanted = catalog.with_partitions(connection, named) if named else []
        if not wanted:
            readable(connection, Contents(kind), str(target["user"]), (), exclude=False)
    options = [f"--table={pattern(one)}" for one in wanted] or Contents(kind).options()
    clients = clients_for(catalog.server_major(target))
    return Plan(
        procedure=f"backup take {kind} --format {form}",
        title=f"Dump {target['database']} into {file.name}",
        target=target,
        steps=(
            Step(
                "write",
                f"Dump into {file.name}",
                call(write, target=target, options=options, form=form, file=str(file)),
                preview=shlex.join(_command(clients, form, options, str(file))),
                risk=Risk.REVERSIBLE,
                undo=f"rm {file}",
            ),
        ),
    )


def write(context: Context, *, target: Facts, options: list[str], form: str, file: str) -> Facts:
    """Dump under a temporary name beside the file; it gets its name when it is whole and flushed.

    Raises FailedPartway with pg_dump's complaint; the unfinished file is removed then.
    """
    workspace = context.workspace
    with workspace.connect("backup") as connection:
        prove_target(connection, target)
    clients = clients_for(catalog.server_major(target))
    unfinished, dumped = Path(f"{file}.unfinished"), 0

    def on_line(line: str) -> None:
        nonlocal dumped
        if "dumping contents of table" in line:
            dumped += 1
            context.report(dumped, dumped, "tables")

    env = program_environment(workspace.conninfo, "backup")
    try:
        done = run_program(_command(clients, form, options, str(unfinished)), env=env, on_line=on_line)
        if done.code != 0:
            raise dump_failed(done.complaint(), unfinished)
        os.link(unfinished, file)  # unlike a rename, it never replaces what came there meanwhile
    except FileExistsError:
        raise Refused(f"{file} already exists", "choose another name") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return {"file": file, "bytes": Path(file).stat().st_size, "format": form}


def _command(clients: Installation, form: str, options: Sequence[str], file: str) -> list[str]:
    program = str(clients.program("pg_dump"))
    bounds = ["--verbose", "--no-password", f"--lock-wait-timeout={LOCK_WAIT}"]
    return [program, f"--format={form}", *bounds, f"--file={file}", *options]
