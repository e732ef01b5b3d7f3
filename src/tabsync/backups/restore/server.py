"""The server that is restored into: the new database on it, and taking away what was half made; fit.py has the checks.

A database that a restore makes is marked by its comment until it is verified. When the process is killed, it stays
under its name with that comment, which says what it is and that it can be dropped; nothing else of it is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.copies.restores.scratch import fetch, manifest_of, tidy
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, CannotConnect, Refused
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres import catalog
from tabsync.postgres.catalog import creation, exists, prove_target
from tabsync.postgres.connect import Connection, allowed, connect
from tabsync.postgres.conninfo import answers, check_conninfo
from tabsync.postgres.installation import Installation, clients_for
from tabsync.postgres.queries import named
from tabsync.postgres.settings import NO_LIMIT
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

SQL = named(__package__, "server.sql")


_NO_SUCH_LOCALE = ("42809", "22023", "0A000")
"""What CREATE DATABASE gives for a locale, a provider or an encoding that this server lacks."""

_LONGEST_NAME = 63  # bytes; PostgreSQL would cut off the rest: NAMEDATALEN


@contextmanager
def on_server(workspace: Workspace, *, beside: bool = False) -> Iterator[Connection]:
    """A session on the workspace's server, in its database or, where that is gone, in one that every server has.

    beside: never in the workspace's database, which can't be renamed from within.
    """
    places = [workspace.conninfo_to(name) for name in ("postgres", "template1")]
    if beside:
        own = check_conninfo(workspace.conninfo).get("dbname")
        places = places[1:] if own == "postgres" else places
    else:
        places = [workspace.conninfo, *places]
    connection = first_of(places)
    try:
        yield connection
    finally:
        connection.close()


def check_writable(workspace: Workspace) -> None:
    """See that the workspace's server takes what a restore writes. Raises Refused on a standby, or CannotConnect."""
    with workspace.connect("restore") as connection:
        catalog.check_primary(connection)


def first_of(places: Sequence[str]) -> Connection:
    """A session in the first of some databases that there is.

    Whether a database is gone can't be read from a refusal, which has no SQLSTATE and is in the server's language: the
    next one is asked. Raises the first refusal where none lets us in, or where that database is there all the same; one
    that lets nobody in (allow_connections false, or invalid since a DROP DATABASE was interrupted) is as good as gone.
    """
    refusals: list[tuple[str, CannotConnect]] = []
    for conninfo in places:
        parts = check_conninfo(conninfo)
        try:
            connection = connect(conninfo, "restore", limits=NO_LIMIT)
        except CannotConnect as error:
            if not answers(conninfo):
                raise
            refusals.append((parts.get("dbname") or parts.get("user") or "", error))
            continue
        for name, refused in refusals:
            if connection.execute(SQL["lets_in"], {"database": name}).fetchone() == (True,):
                connection.close()
                raise refused
        return connection
    raise refusals[0][1]


def programs_for(target: Facts, manifest: Manifest) -> Installation:
    """The programs to restore with: the target's major version. Refused when the target is older than the backup."""
    theirs, ours = catalog.server_major(manifest.source), catalog.server_major(target)
    if ours < theirs:
        raise Refused(
            f"backup {manifest.id} is of PostgreSQL {theirs}, and this server is the older version {ours}",
            f"restore it on a server of PostgreSQL {theirs} or later",
        )
    made_by = int(str(manifest.program["pg_dump"]).split(".")[0])
    return clients_for(max(ours, made_by))


def new_name(connection: Connection, wanted: str | None, default: str) -> str:
    """The name of the database to make: as wanted, or the default with the time. Refused when it is taken."""
    name = wanted or _free_name(connection, default)
    if not name or len(name.encode()) > _LONGEST_NAME or "\0" in name:
        raise BadUsage(f"{name!r} is not a valid name of a database", f"a name has 1 to {_LONGEST_NAME} bytes")
    if exists(connection, name):
        raise Refused(
            f"database {catalog.quoted(name)} already exists",
            "a restore never replaces a database; choose another name: --as NEW_NAME",
        )
    return name


def _free_name(connection: Connection, default: str) -> str:
    """The default with the time, and with a number where that second has one already."""
    moment = compact(now()).lower()
    for number in range(1, 100):
        ending = f"_{moment}" + (f"_{number}" if number > 1 else "")
        name = default.encode()[: _LONGEST_NAME - len(ending)].decode(errors="ignore") + ending
        if not exists(connection, name):
            return name
    return name


def fetch_step(backup: str, scratch: str, *, keep: bool = False) -> Step:
    """The step that reads and checks every object of the backup, before the target is touched.

    keep: go on without those that are damaged.
    """
    what = "SHA-256 of each object of the backup"
    called = call(fetch, backup=backup, scratch=scratch, **({"keep": True} if keep else {}))
    return Step("fetch", "Read and verify every stored object", called, what, reads=(backup,))


def create_step(backup: str, database: str, target: Facts, facts: Facts, tablespace: str = "") -> Step:
    """The step that makes the new database. tablespace: where, when it isn't the server's default."""
    return Step(
        "create",
        f"Create database {database}",
        call(create, backup=backup, database=database, target=target, tablespace=tablespace),
        _made(database, facts, tablespace).as_string(),
        Risk.REVERSIBLE,
        f"drop database {catalog.quoted(database)}",
    )


def last_steps(database: str, scratch: str) -> list[Step]:
    """The steps that take away what was half made, and the fetched files."""
    return [
        Step(
            "tidy_database",
            "Drop the new database if it is incomplete",
            call(drop_unfinished, database=database),
            f"only after a failure: drop database {catalog.quoted(database)}",
            Risk.REVERSIBLE,
            "no undo: this run created it, and it is incomplete",
            always=True,
        ),
        tidy_step(scratch),
    ]


def tidy_step(scratch: str) -> Step:
    """The step that takes the fetched files away."""
    return Step(
        "tidy_scratch",
        "Delete the fetched files",
        call(tidy, scratch=scratch),
        "delete the directory of the fetched files; the store is not changed",
        Risk.REVERSIBLE,
        "no undo needed: the store still has the backup",
        always=True,
    )


def create(context: Context, *, backup: str, database: str, target: Facts, tablespace: str = "") -> Facts:
    """Make the new, empty database with the backup's encoding and locale, marked as unfinished.

    Raises Refused when the name is taken by now, or the server lacks the locale.
    """
    manifest = manifest_of(context, backup)
    with on_server(context.workspace) as connection:
        prove_target(connection, target)
        try:
            with allowed(f"create database {database}", "alter role ... createdb"):
                connection.execute(_made(database, manifest.database, tablespace))
        except psycopg.errors.DuplicateDatabase:
            raise Refused(
                f"database {catalog.quoted(database)} already exists", "choose another name: --as NEW_NAME"
            ) from None
        except psycopg.DatabaseError as error:
            fact = f"this server can't create a database like the one in the backup: {error.diag.message_primary}"
            locale = error.sqlstate in _NO_SUCH_LOCALE
            raise Refused(fact, "install the locale on the server" if locale else "read the server's log") from None
        mark_unfinished(context, connection, database)
    return {"database": database}


def finish(context: Context, database: str) -> None:
    """Take the mark off: the database is whole."""
    with on_server(context.workspace) as connection:
        _mark(connection, database, None)


def drop_unfinished(context: Context, *, database: str) -> Facts:
    """Drop the database that this run made, unless it was finished; one that isn't ours is never touched."""
    with on_server(context.workspace, beside=True) as connection:
        row = connection.execute(SQL["mark"], {"database": database}).fetchone()
        if row is None or row[0] != unfinished_mark(context.run_id):
            return {"dropped": False}
        drop(connection, database)
    return {"dropped": True}


def drop(connection: Connection, database: str) -> None:
    """Drop a database, ending its sessions; also one that is a template."""
    name = sql.Identifier(database)
    if connection.execute(SQL["template"], {"database": database}).fetchone() == (True,):
        connection.execute(sql.SQL("alter database {} is_template false").format(name))
    connection.execute(sql.SQL("drop database {} with (force)").format(name))


def _made(database: str, facts: Facts, tablespace: str) -> sql.Composed:
    where = sql.SQL(" tablespace {}").format(sql.Identifier(tablespace)) if tablespace else sql.Composed([])
    return creation(database, facts) + where


def mark_unfinished(context: Context, connection: Connection, database: str) -> None:
    """Mark a database that was just made; without the mark it doesn't stay."""
    try:
        _mark(connection, database, unfinished_mark(context.run_id))
    except BaseException:
        connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(database)))
        raise


def _mark(connection: Connection, database: str, text: str | None) -> None:
    connection.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(text)))


def unfinished_mark(run_id: str) -> str:
    """The comment of a database that a run made and has not finished."""
    return f"tabsync: unfinished restore, run {run_id}; it is incomplete and can be dropped"
