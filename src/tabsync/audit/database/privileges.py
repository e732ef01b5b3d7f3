"""Who may do what with the log: what was there before is kept in its sense, and nobody gets more by a default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg import sql

from tabsync.audit.database.role_change import NAMES
from tabsync.audit.database.setup import Setup, rows, run
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "privileges.sql")
_LOG = named(__package__, "log.sql")
MONITOR = "pg_monitor"
OURS = ("id", "xid", "origin", "table_name", "db_user", "db_role", "app", "client", "actor", "actor_how", "reason")
"""The columns of the log that nobody but our functions writes."""


def role_named(name: str) -> sql.Composable:
    """A role; PUBLIC is no name."""
    return sql.Identifier(name) if name else sql.SQL("public")


def close(connection: Connection, oids: Sequence[int] = (), *, functions_for: Iterable[str] = NAMES) -> None:
    """Take from everybody what default privileges gave on our own things, and on the tables of some oids.

    functions_for: names of functions that were granted on purpose; those of the users close themselves.
    """
    for one in rows(connection, "strangers", of=_SQL, also=list(oids)):
        if (one["role"] == MONITOR and one["kind"] == "sequence") or one["name"] in functions_for:
            continue
        names = {"object": sql.Identifier(one["schema"], one["name"]), "role": role_named(one["role"])}
        if one["kind"] == "function":
            run(connection, "revoke_function", of=_SQL, arguments=sql.SQL(one["arguments"]), **names)
        else:
            run(connection, "revoke", of=_SQL, kind=sql.SQL(one["kind"]), **names)


def grant_as_before(
    connection: Connection, setup: Setup, before: Sequence[Facts], columns: Sequence[str], sequence: Relation | None
) -> None:
    """Let who could read the log read it, and who could insert into it insert what is not ours.

    before: as the catalog's `privileges` gives them; columns: those of the log; sequence: where its numbers come from.
    """
    log = setup.log.identifier()
    free = [name for name in columns if name not in OURS]
    readers = {one["role"] for one in before if one["privilege"] == "SELECT" and not one["column"]} - {setup.owner}
    writers: dict[str, set[str]] = {}
    for one in before:
        if one["privilege"] == "INSERT" and one["role"] != setup.owner:
            writers.setdefault(one["role"], set()).update([one["column"]] if one["column"] else free)
    for role in sorted(readers):
        run(connection, "may_read", of=_LOG, log=log, role=role_named(role))
    for role, named_columns in sorted(writers.items()):
        if given := [name for name in free if name in named_columns]:
            run(connection, "may_insert", of=_LOG, log=log, role=role_named(role), columns=_listed(given))
            if sequence:
                run(connection, "may_count", of=_LOG, sequence=sequence.identifier(), role=role_named(role))


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
