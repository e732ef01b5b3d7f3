"""The last step of a restore into a new database: what the dump holds of the database itself, and what is lacking.

In one transaction the database gets its settings, limit, grants and owner, and loses the comment that marks it as
unfinished. A database in which something failed, and which is kept on demand, says so in its comment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from tabsync.backups.restore.external_dump import foreign_dump
from tabsync.backups.restore.server import SQL, on_server
from tabsync.copies.dumps.left_out import lacking
from tabsync.copies.dumps.properties import at_once, give, statements, worded_there
from tabsync.copies.restores.pg_restore import name_of
from tabsync.kernel.errors import CannotConnect, FailedPartway
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.toc import Entry, read_toc

if TYPE_CHECKING:
    from tabsync.workspace import Context

_HERE = "tabsync.backups.restore.settle"
_CONNECTION = re.compile(r"CONNECTION (?:[Ee]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')", re.DOTALL)
_EVENT_TRIGGERS = re.compile(r"^ALTER DATABASE .* SET event_triggers TO ", re.DOTALL)
_NAMED = 20  # objects that the comment of a partial database names
_KIND = re.compile(r"^[A-Z ]+ ")
"""Of a name such as EVENT TRIGGER logged_in."""


def settle_steps(
    entries: Sequence[Entry],
    scratch: str,
    database: str,
    *,
    backup: str = "",
    path: str = "",
    no_owner: bool = False,
    keep: bool = False,
) -> list[Step]:
    """The step that settles a new database, and, where what came is kept, the one that says that it isn't whole.

    backup: the id of ours, or path: of another dump.
    """
    given = statements(entries, database, no_owner=no_owner)
    preview = ";\n".join(given) or "nothing: the dump has no settings of the database itself"
    settled = Step(
        "settle",
        f"Restore settings, privileges, comment and owner of {database}",
        call(settle, scratch=scratch, database=database, backup=backup, path=path, no_owner=no_owner),
        preview,
        Risk.REVERSIBLE,
        "drop the database",
    )
    judged = Step("whole", "Check that everything was restored", call(whole, database=database), "list what failed")
    return [settled, judged] if keep else [settled]


def settle(context: Context, *, scratch: str, database: str, backup: str, path: str, no_owner: bool) -> Facts:
    """Give a database what the dump says of it; lists what the server refused, and what is in no dump."""
    workspace = context.workspace
    noted = workspace.store().manifest(backup).not_in_this_backup if backup else None
    entries = _entries(workspace.scratch(scratch), path)
    wanted = statements(entries, database, no_owner=no_owner)
    # A copy's event triggers are off until a person turns them on (outside.py), also where the original has them on.
    kept_off = [one for one in wanted if _EVENT_TRIGGERS.search(one)]
    wanted = [one for one in wanted if one not in kept_off]
    missing = missing_of(context)
    with on_server(workspace, beside=True) as connection:
        if not (connection.execute(SQL["rights"]).fetchone() or (False,))[0]:
            wanted.sort(key=lambda one: " OWNER TO " in one)  # it takes our own rights along
        with at_once(connection):
            _comment(connection, database, _partial_mark(context.run_id, backup, missing) if missing else None)
            refused = give(connection, [one for one in wanted if not (missing and one.startswith("COMMENT"))])
        refused += [{"statement": f"{one};", "error": "event triggers stay off in a copy"} for one in kept_off]
        told = lacking(connection, noted) if noted is not None else []
    there = worded_there(wanted)
    if there and not missing:
        with suppress(CannotConnect), connect(workspace.conninfo_to(database), "restore") as connection:
            give(connection, there)
    told += _subscriptions(entries, told)
    return {
        "given": len(wanted) - len(refused),
        "refused": refused,
        "not_in_this_backup": told,
        "noted": noted is not None,
        "missing": missing,
    }


def whole(context: Context, *, database: str) -> Facts:
    """Raises FailedPartway when something is missing in a database that was kept all the same."""
    if missing := context.results["settle"]["missing"]:
        first, more = missing[0], len(missing) - 1
        raise FailedPartway(
            f"database {database} is incomplete: {first['told']}" + (f" (and {more} more)" if more else ""),
            "the database was kept, and its comment names what is missing; check it before you use it",
        )
    return {}


def missing_of(context: Context) -> list[Facts]:
    """What a restore could not create, and what differs from the dump; each object once."""
    failures = list(context.results["restore"].get("failures", ()))
    named = {_KIND.sub(lambda kind: kind[0].lower(), one["what"]) + " is missing" for one in failures}
    return failures + [one for one in context.results["verify"].get("missing", ()) if one["what"] not in named]


def _entries(directory: Path, path: str) -> list[Entry]:
    if not path:
        return read_toc(directory / "dump" / "toc.dat")
    unpacked = directory / "dump"
    return list(foreign_dump(unpacked if unpacked.exists() else Path(path)).entries)


def _comment(connection: Connection, database: str, text: str | None) -> None:
    statement = sql.SQL("comment on database {} is {}")
    connection.execute(statement.format(sql.Identifier(database), sql.Literal(text)))


def _partial_mark(run_id: str, backup: str, missing: Sequence[Facts]) -> str:
    named = "; ".join(str(one["what"]) for one in missing[:_NAMED])
    more = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    of = f"backup {backup}" if backup else "a dump"
    return f"tabsync: PARTIAL restore of {of}, run {run_id}: this failed: {named}{more}"


def _subscriptions(entries: Sequence[Entry], told: Sequence[Facts]) -> list[Facts]:
    """Subscriptions are in a superuser's dump, and are never restored; without their connection string."""
    known = {one["name"] for one in told if one["kind"] == "subscription"}
    note = "left out: it would receive the changes instead of the original; enable it only when the original is gone"
    return [
        {
            "kind": "subscription",
            "name": entry.name,
            "statement": _CONNECTION.sub("CONNECTION '...'", entry.definition.strip()),
            "note": note,
        }
        for entry in entries
        if entry.kind == "SUBSCRIPTION" and name_of(entry) not in known and entry.name not in known
    ]
