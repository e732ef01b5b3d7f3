"""The database that a monthly drill makes on the staging server, and its end when the drill's process dies.

home/staging-databases/<name>/ is held (flock) as long as the drill lives, and notes where its database is. Nobody holds
it any more: the drill is dead. Then the database of the noted name is dropped, if it is the one that was made: by its
oid, or, of a drill that died before it could note that, by the comment of that very run (target.unfinished_mark). The
comment alone won't do: it goes when the restore is whole, since the proof that follows compares comments too.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.server import SQL, first_of, on_server, unfinished_mark
from tabsync.backups.restore.server import create as target_create
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.postgres.conninfo import without_secrets
from tabsync.system.claims import unclaimed

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_NOTE = "note.json"
_TRIED = "tried"
_AGAIN = 600.0  # seconds until a staging server that could not be asked is asked again, where nobody names it
_PATIENCE = 3  # seconds that a command which only sweeps waits for it


def create(context: Context, *, backup: str, database: str, target: Facts, name: str, tablespace: str = "") -> Facts:
    """Make the database as target.create does, and note it before and after. name: of the note."""
    directory = _root(context.workspace) / name
    context.workspace.hold(directory, "release")  # deleted without a look at the server, the database would stay
    place = without_secrets(context.workspace.conninfo)
    facts = {"database": database, "conninfo": place, "mark": unfinished_mark(context.run_id), "oid": None}
    _write(directory, facts)
    made = target_create(context, backup=backup, database=database, target=target, tablespace=tablespace)
    with on_server(context.workspace) as connection:
        row = connection.execute(SQL["database"], {"database": database}).fetchone()
    _write(directory, facts | {"oid": row[0] if row else None})
    return made


def forget(context: Context, *, database: str, name: str, drop: bool) -> Facts:
    """Take the note away. drop: unless the database, which was to be dropped, is still there: then it is tried again.

    What a drill that lived left is left on purpose, to be looked at.
    """
    directory, workspace = _root(context.workspace) / name, context.workspace
    if not workspace.holds(directory):
        return {}
    try:
        with on_server(context.workspace, beside=True) as connection:
            mark = connection.execute(SQL["mark"], {"database": database}).fetchone()
        if mark is None or not (drop or mark[0] == unfinished_mark(context.run_id)):
            workspace.delete(directory)
    finally:
        if workspace.holds(directory):
            workspace.release(directory)
    return {}


def sweep_staging(workspace: Workspace, staging: str | None = None) -> list[str]:
    """Drop the databases that dead drills left on staging servers; returns their names.

    staging: a connection string that somebody gives now, perhaps with the password that no note holds. A server that
    can't be asked keeps its database, and is asked again later.
    """
    swept = []
    for held in unclaimed(_root(workspace)):
        try:
            facts = json.loads((held.directory / _NOTE).read_text())
        except (OSError, ValueError):
            held.remove()  # it died before the note was there, and so before the database was
            continue
        if staging is None and _tried_lately(held.directory):
            continue
        (held.directory / _TRIED).touch()
        places = [staging] if staging else []
        places += [] if staging and without_secrets(staging) == facts["conninfo"] else [facts["conninfo"]]
        found = [_drop(place, facts) for place in places]
        if True in found:
            swept.append(str(facts["database"]))
        if True in found or found[-1] is not None:  # the last one is where it was made
            held.remove()
    return swept


def _drop(conninfo: str, facts: Facts) -> bool | None:
    """Drop the noted database if it is the one that was made; False: there is none such; None: nobody can tell."""
    name = facts["database"]
    places = [make_conninfo(conninfo, dbname=one, connect_timeout=_PATIENCE) for one in ("postgres", "template1")]
    try:
        with first_of(places) as connection:
            row = connection.execute(SQL["made"], {"database": name}).fetchone()
            if row is None or (row[0] != facts["oid"] and row[1] != facts["mark"]):
                return False
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    except (TabsyncError, psycopg.Error):
        return None
    return True


def _write(directory: Path, facts: Facts) -> None:
    pending = directory / f".{_NOTE}"
    pending.write_text(json.dumps(facts))
    pending.replace(directory / _NOTE)


def _tried_lately(directory: Path) -> bool:
    tried = directory / _TRIED
    return tried.exists() and time.time() - tried.stat().st_mtime < _AGAIN


def _root(workspace: Workspace) -> Path:
    return workspace.home / "staging-databases"
