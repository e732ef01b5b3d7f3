"""Exchanging a database for another one by two renames in one transaction: either both bear their new names, or none.

ALTER DATABASE RENAME locks the database against new sessions, then waits up to five seconds for the others to leave.
Ending sessions beforehand is no use against an application that comes back at once; they are ended while it waits.
https://www.postgresql.org/docs/current/sql-alterdatabase.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.backups.restore.server import first_of
from tabsync.kernel.errors import CannotConnect, NotAllowed, Refused, words_of
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.postgres.prepared import rollback
from tabsync.postgres.presets import preset
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_ENDING = 2.0  # seconds that the server may take to end a session that was closed
SQL = named(__package__, "swap.sql")

_RENAME = sql.SQL("alter database {} rename to {}")
_POLL = 0.05  # seconds between two looks for sessions to end


@contextmanager
def beside(workspace: Workspace, database: str) -> Iterator[Connection]:
    """A session on the server that is not in a database which is to be renamed."""
    places = [workspace.conninfo_to(name) for name in ("postgres", "template1") if name != database]
    with first_of(places) as connection:
        yield connection


def check_bound(connection: Connection, database: str) -> list[str]:
    """Refuse what runs in the database and would run on in the old one; gives the logical slots that stay with it."""
    bound = connection.execute(SQL["bound"], {"database": database}).fetchall()
    if running := [name for kind, name in bound if kind == "subscription"]:
        raise Refused(
            f"subscription {', '.join(running)} is enabled in {catalog.quoted(database)}",
            f"disable it first: alter subscription {catalog.quoted(running[0])} disable",
        )
    return [name for kind, name in bound if kind == "slot"]


def check_prepared(connection: Connection, database: str) -> None:
    """Refuse while a prepared transaction waits: no session holds it, so none can be ended to be rid of it."""
    found = [str(gid) for (gid,) in connection.execute(SQL["prepared"], {"database": database})]
    if found:
        which = in_one_line(found[0]) + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        raise Refused(
            f"the prepared transaction {which} keeps {catalog.quoted(database)} from being replaced",
            f"in that database, {rollback(found[0])}; or commit prepared, with the same name",
        )


def check_sessions(connection: Connection, database: str) -> None:
    """Refuse while others are connected."""
    until = time.monotonic() + _ENDING
    while found := connection.execute(SQL["sessions"], {"database": database}).fetchall():
        if time.monotonic() > until or not all(program.startswith("tabsync/") for _, _, program in found):
            break
        time.sleep(0.05)  # ours have been closed, and the server is about to end them
    if found:
        told = ", ".join(f"{user}/{program} (pid {pid})" for pid, user, program in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise Refused(
            f"{catalog.quoted(database)} is in use by {len(found)} sessions: {told}{more}",
            "stop the application, or end the sessions at the swap: --terminate",
        )


def settle(context: Context, *, database: str, like: str) -> Facts:
    """Give a database what its dump does not bring, as another one has it: settings, limit, grants, owner.

    Raises NotAllowed when a setting or an owner may not be set by us.
    """
    with beside(context.workspace, like) as connection:
        connection.execute("begin")
        try:
            settings = connection.execute(SQL["settings"], {"database": like}).fetchall()
            for role, name, value in settings:
                connection.execute(preset(database, role, name, value))
            _give(connection, database, like)
        except psycopg.errors.InsufficientPrivilege as error:
            connection.execute("rollback")
            fact = (
                f"can't copy the settings, privileges and owner of {like} to {database}: {error.diag.message_primary}"
            )
            raise NotAllowed(fact, "use the role that set them, or a superuser") from None
        connection.execute("commit")
    return {"settings": len(settings)}


def swap(context: Context, *, old: str, aside: str, new: str, target: Facts, terminate: bool) -> Facts:
    """Rename the old database aside and the new one into its place, both or none.

    Raises Refused when sessions are in the way, or the old one is not the one that the plan was made for.
    """
    workspace = context.workspace
    with beside(workspace, old) as connection:
        row = connection.execute(SQL["oid"], {"database": old}).fetchone()
        if row is None or row[0] != target["database_oid"]:
            raise Refused(f"{catalog.quoted(old)} is now another database", "list the databases: psql -l")
        exchange(workspace, connection, [(old, aside), (new, old)], terminate=terminate)
    return {"database": old, "aside": aside}


def exchange(workspace: Workspace, connection: Connection, renames: list[tuple[str, str]], *, terminate: bool) -> None:
    """Rename databases, all in one transaction. Raises Refused when sessions keep one of them."""
    with _ending(workspace, [old for old, _ in renames], really=terminate):
        connection.execute("begin")
        try:
            for old, new in renames:
                connection.execute(_RENAME.format(sql.Identifier(old), sql.Identifier(new)))
            # The comment that marks a half-made database goes in the same moment.
            name = sql.Identifier(renames[-1][1])
            comment = connection.execute(SQL["facts"], {"database": renames[0][1]}).fetchone()
            text = sql.Literal(comment[3] if comment else None)
            connection.execute(sql.SQL("comment on database {} is {}").format(name, text))
            connection.execute("commit")
        except psycopg.Error as error:
            if not connection.broken:
                connection.execute("rollback")
            raise _cannot_rename(error) from error


@contextmanager
def _ending(workspace: Workspace, databases: list[str], *, really: bool) -> Iterator[None]:
    """End the sessions of databases, again and again, while the block runs."""
    over = threading.Event()

    def end() -> None:
        try:
            with beside(workspace, databases[0]) as connection:
                while not over.wait(_POLL):
                    for database in databases:
                        connection.execute(SQL["terminate"], {"database": database})
        except (psycopg.Error, CannotConnect):
            pass  # the rename then says that sessions are in its way

    thread = threading.Thread(target=end, daemon=True)
    if really:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if really:
            thread.join()


def _cannot_rename(error: psycopg.Error) -> Refused | NotAllowed:
    message = words_of(error)
    if isinstance(error, psycopg.errors.ObjectInUse):
        return Refused(f"{message}; nothing was renamed", "stop the application, or end its sessions: --terminate")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return NotAllowed(f"{message}; nothing was renamed", "use the database's owner, with createdb; or --clean")
    return Refused(f"the databases could not be renamed: {message}", "list the databases: psql -l")


def _give(connection: Connection, database: str, like: str) -> None:
    name = sql.Identifier(database)
    with connection.cursor(row_factory=dict_row) as cursor:
        facts = cursor.execute(SQL["facts"], {"database": like}).fetchone() or {}
    grants = connection.execute(SQL["grants"], {"database": like}).fetchall()
    superuser = bool((connection.execute(SQL["superuser"]).fetchone() or (False,))[0])
    limit = sql.Literal(facts["connlimit"])
    connection.execute(sql.SQL("alter database {} connection limit {}").format(name, limit))
    if not facts["default_acl"]:
        connection.execute(sql.SQL("revoke all on database {} from public, current_user").format(name))
    for provider, label in connection.execute(SQL["labels"], {"database": like}).fetchall():
        labelled = sql.SQL("security label for {} on database {} is {}")
        connection.execute(labelled.format(sql.Identifier(provider), name, sql.Literal(label)))
    for grantee, privilege, grantable, grantor in grants:
        whom = sql.Identifier(grantee) if grantee else sql.SQL("public")
        option = sql.SQL(" with grant option" if grantable and grantee else "")
        statement = sql.SQL("grant {} on database {} to {}{}").format(sql.SQL(privilege), name, whom, option)
        if grantor and superuser:  # who had it with grant option, and passed it on
            connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(grantor)))
        connection.execute(statement)
        if grantor and superuser:
            connection.execute("reset session authorization")
    if facts["template"]:
        connection.execute(sql.SQL("alter database {} is_template true").format(name))
    # Last, since it takes our own rights along.
    connection.execute(sql.SQL("alter database {} owner to {}").format(name, sql.Identifier(facts["owner"])))
