"""The audit log as every command of it finds it: where it is, and statements composed for it."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.audit.database.trust import check_ours
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SEALS = named(__package__, "seals.sql")
NOT_INSTALLED = "to install it: tabsync audit install"


def is_installed(connection: Connection) -> bool:
    """Whether the audit log is installed in this database, also where we may not read what is kept of it."""
    return bool((connection.execute(SEALS["has_seals"]).fetchone() or (False,))[0])


def log_of(connection: Connection) -> Relation:
    """The table of the log. Raises Refused when nothing, or nothing of ours, is installed here; NotAllowed."""
    check_ours(connection)
    there, readable = connection.execute(SEALS["has_seals"]).fetchone() or (False, False)
    if there and not readable:
        raise NotAllowed("this role may not read what tabsync keeps of the audit log", "use the role that installed it")
    found = connection.execute(SEALS["installed"]).fetchone() if there else None
    if found is None or not found[0]:
        raise Refused("the audit log is not installed in this database", NOT_INSTALLED)
    return relation_named(found[0])


def seal_rows(connection: Connection, log: Relation | None, statement: str, /, **values: Any) -> list[Facts]:
    """The rows of a statement of seals.sql, composed for the log; bytes come as bytes."""
    composed = sql.SQL(SEALS[statement])
    query = composed.format(log=log.identifier(), entry=sql.SQL(SEALS["hashed"])) if log else composed
    with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        cursor.execute(query, values, prepare=False)  # a plan for any range would read the whole log
        return cursor.fetchall() if cursor.description else []
