"""The step that reads every index and every table of a copy, page by page, with PostgreSQL's own amcheck.

A dump that comes back identical proves the rows. It doesn't prove that each of them is found through each index: an
operator class that orders differently, or a page that a disk changed, shows only here.
https://www.postgresql.org/docs/current/amcheck.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.copies.proofs.proof import connect_copy
from tabsync.kernel.errors import ProblemFound
from tabsync.kernel.step import Facts, Step, call
from tabsync.postgres.catalog import Relation, server_major
from tabsync.postgres.connect import Connection
from tabsync.postgres.installation import server_for
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.workspace import Context

SQL = named(__package__, "amcheck.sql")

_OURS = "tabsync_amcheck"
"""The schema that amcheck gets where it wasn't installed; it is dropped again."""

_MOST_NAMED = 5


@dataclass(slots=True)
class Checked:
    """What amcheck read. not_checked: what nothing read, in words; wrong: what is not as it must be."""

    indexes: int = 0
    tables: int = 0
    bytes: int = 0
    not_checked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> Facts:
        """As a step's facts."""
        counts = {"indexes": self.indexes, "tables": self.tables, "bytes": self.bytes}
        return counts | {"available": self.indexes > 0, "not_checked": self.not_checked}


def amcheck(context: Context, *, scratch: str) -> Facts:
    """Check every index and table of a copy. Raises ProblemFound naming those that are damaged."""
    with connect_copy(context, scratch) as connection:
        checked = check_relations(connection, context.report)
    if checked.wrong:
        more = len(checked.wrong) - _MOST_NAMED
        raise ProblemFound(
            "the copy is corrupt: " + "; ".join(checked.wrong[:_MOST_NAMED]) + (f"; {more} more" if more > 0 else ""),
            "the data files of the source may be corrupt too: run pg_amcheck there",
        )
    return checked.to_json()


def check_relations(connection: Connection, report: Callable[[float, float, str], None]) -> Checked:
    """Read every index and table of a database whose superuser we are and that nobody else works with.

    bt_index_parent_check with heapallindexed looks for every row in every index, and for every key from the root.
    What amcheck can't read (other access methods, invalid indexes) is in not_checked, by name.
    """
    checked = Checked()
    row = connection.execute(SQL["extension"]).fetchone()
    if row is None and connection.execute(SQL["available"]).fetchone() != (True,):
        checked.not_checked.append("indexes and pages: the extension amcheck is not installed on this server")
        return checked
    try:
        connection.execute("set session_replication_role = replica")
        if row is None:
            _without_event_triggers(
                connection,
                sql.SQL("create schema {}").format(sql.Identifier(_OURS)),
                sql.SQL("create extension amcheck schema {}").format(sql.Identifier(_OURS)),
            )
    except psycopg.errors.InsufficientPrivilege as error:
        checked.not_checked.append(f"indexes and pages: amcheck needs a superuser ({_message(error)})")
        return checked
    try:
        _check_all(connection, row[0] if row else _OURS, checked, report)
    finally:
        if row is None:
            drop = sql.SQL("drop schema {} cascade").format(sql.Identifier(_OURS))
            _without_event_triggers(connection, drop)
    return checked


def _without_event_triggers(connection: Connection, *statements: sql.Composed) -> None:
    """Run statements that event triggers of the application must not stand in the way of, nor act on.

    Since PostgreSQL 17 no session of ours fires them. Before that, those that fire always are off for the transaction.
    """
    with connection.transaction():
        names = []
        if connection.info.server_version < 170000:
            names = [sql.Identifier(name) for (name,) in connection.execute(SQL["always"], {})]
        for name in names:
            connection.execute(sql.SQL("alter event trigger {} disable").format(name))
        for statement in statements:
            connection.execute(statement)
        for name in names:
            connection.execute(sql.SQL("alter event trigger {} enable always").format(name))


def _check_all(
    connection: Connection, schema: str, checked: Checked, report: Callable[[float, float, str], None]
) -> None:
    arguments = {str(name): int(n) for name, n in connection.execute(SQL["functions"], {"schema": schema}).fetchall()}
    with connection.cursor(row_factory=dict_row) as cursor:
        indexes, tables = (cursor.execute(SQL[name]).fetchall() for name in ("indexes", "tables"))
    done, total = 0, sum(one["bytes"] for one in indexes + tables)
    for one in indexes:
        _check_index(connection, schema, arguments, one, checked)
        done += one["bytes"]
        report(done, total, "bytes")
    for one in tables:
        _check_table(connection, schema, one, checked)
        done += one["bytes"]
        report(done, total, "bytes")


def _check_index(
    connection: Connection, schema: str, arguments: dict[str, int], index: Facts, checked: Checked
) -> None:
    name = f"index {Relation(index['schema'], index['name'])}"
    if not index["valid"]:
        checked.not_checked.append(f"{name}: the index is not valid")
        return
    if index["method"] == "btree":
        function, flags = "bt_index_parent_check", arguments["bt_index_parent_check"] - 1
    elif index["method"] == "gin" and "gin_index_check" in arguments:
        function, flags = "gin_index_check", 0
    else:
        checked.not_checked.append(f"{name}: this version of amcheck does not check {index['method']} indexes")
        return
    # heapallindexed, rootdescend and, since PostgreSQL 17, checkunique: all of them.
    query = sql.SQL("select {}({}::oid::regclass{})").format(
        sql.Identifier(schema, function), sql.Placeholder("oid"), sql.SQL(", true") * flags
    )
    try:
        connection.execute(query, {"oid": index["oid"]})
    except psycopg.Error as error:
        checked.wrong.append(f"{name}: {_message(error)}")
    checked.indexes += 1
    checked.bytes += index["bytes"]


def _check_table(connection: Connection, schema: str, table: Facts, checked: Checked) -> None:
    name = f"table {Relation(table['schema'], table['name'])}"
    if table["method"] != "heap":
        checked.not_checked.append(f"{name}: amcheck does not check tables of access method {table['method']}")
        return
    query = sql.SQL("select blkno, msg from {}({}::oid::regclass, check_toast => true) limit 1").format(
        sql.Identifier(schema, "verify_heapam"), sql.Placeholder("oid")
    )
    try:
        found = connection.execute(query, {"oid": table["oid"]}).fetchone()
    except psycopg.Error as error:
        checked.wrong.append(f"{name}: {_message(error)}")
    else:
        checked.wrong += [f"{name}: block {found[0]}: {found[1]}"] if found else []
    checked.tables += 1
    checked.bytes += table["bytes"]


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).splitlines()[0]


def amcheck_step(scratch: str, target: Facts) -> Step:
    """The step that reads every page and looks for every row in every index of the copy; drills have it too."""
    server = server_for(server_major(target))
    return Step(
        "amcheck",
        "Check every page and every index entry (amcheck)",
        call(amcheck, scratch=scratch),
        f"amcheck of PostgreSQL {server.dotted}: bt_index_parent_check(index, true, true), verify_heapam(table)",
    )
