"""What a backup can't read, known before it starts: tables, rows that policies hide, large objects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tabsync.copies.dumps.contents import Contents
from tabsync.copies.restores.rights import SQL
from tabsync.kernel.errors import NotAllowed
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, quoted
from tabsync.postgres.connect import Connection

_NAMED = 5


def readable(
    connection: Connection, contents: Contents, user: str, theirs: Collection[str], *, exclude: bool
) -> Contents:
    """The contents, without what the user may not read when that is to be excluded.

    theirs: schemas that the provider keeps. Raises NotAllowed naming what the user may not read, and what helps.
    """
    hidden = _own(catalog.unreadable(connection), contents)
    if hidden and not exclude:
        provided = all(one.schema in theirs for one in hidden)
        grant = f"grant pg_read_all_data to {quoted(user)}, or leave these out of the backup: --exclude-unreadable"
        raise NotAllowed(
            f"user {user} may not read {_some(hidden)}: the backup would be incomplete",
            "these are the provider's own schemas; leave them out: --exclude-platform" if provided else grant,
        )
    guarded = [] if contents.kind == "schema" else _own(_guarded(connection), contents)
    guarded = [one for one in guarded if one not in hidden]
    if guarded and not exclude:
        raise NotAllowed(
            f"row-level security hides rows of {_some(guarded)} from user {user}: the backup would be incomplete",
            f"alter role {quoted(user)} bypassrls, or use a superuser (owning a table with FORCE ROW LEVEL SECURITY is"
            " not enough); or leave these out of the backup: --exclude-unreadable",
        )
    objects = _large_objects(connection) if contents.kind in ("full", "data") else (0, None)
    if objects[0] and not exclude:
        raise NotAllowed(
            f"user {user} may not read {objects[0]} large objects, the first being {objects[1]}:"
            " the backup would be incomplete",
            f"use a superuser, or: grant select on large object {objects[1]} to {quoted(user)}, and so on"
            " (pg_read_all_data does not cover them); or leave all of them out: --exclude-unreadable",
        )
    return replace(contents, without=(*hidden, *guarded), large_objects=not objects[0])


def _guarded(connection: Connection) -> list[Relation]:
    return [Relation(*row) for row in connection.execute(SQL["hidden_rows"], {})]


def _large_objects(connection: Connection) -> tuple[int, int | None]:
    row = connection.execute(SQL["hidden_large_objects"], {}).fetchone() or (0, None)
    return int(row[0]), row[1]


def _own(relations: Sequence[Relation], contents: Contents) -> list[Relation]:
    return [one for one in relations if one.schema not in contents.schemas_left_out]


def _some(relations: Sequence[Relation]) -> str:
    more = f" and {len(relations) - _NAMED} more" if len(relations) > _NAMED else ""
    return ", ".join(map(str, relations[:_NAMED])) + more
