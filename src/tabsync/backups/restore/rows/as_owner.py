"""Statements that write run as the application's do: with its search_path, and with no more rights than the owner has.

Why that is, and how: tabsync/postgres/as_owner.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from psycopg import sql

from tabsync.backups.restore.rows.shape import Shape
from tabsync.copies.row_text import ask, tell
from tabsync.kernel.errors import Refused
from tabsync.postgres.as_owner import called_as, check_nothing_put_off
from tabsync.postgres.connect import Connection, resolve_as_application, resolve_in_catalog

_AT_ONCE = sql.SQL("with {} select array[{}]::pg_catalog.int8[]")
_COUNTS, _NOTHING = sql.SQL("pg_catalog.int8[]"), sql.SQL("pg_catalog.void")
_CONSTRAINTS = sql.SQL("set constraints all immediate")


def write(live: Connection, statements: Sequence[sql.Composed], shapes: Iterable[Shape]) -> list[int]:
    """Run statements that write as one, and give what each of them counted. shapes: of the tables that they write to.

    ExternalDump keys are looked at when a statement ends: rows that point at each other can come and go in one only.
    Raises Refused where they belong to several owners, as none of whom it could be done.
    """
    names = [sql.Identifier(f"tabsync_{number}") for number in range(len(statements))]
    parts = [sql.SQL("{} as ({} returning 1)").format(name, one) for name, one in zip(names, statements, strict=True)]
    sums = [sql.SQL("(select pg_catalog.count(*) from {})").format(name) for name in names]
    statement = _AT_ONCE.format(sql.SQL(", ").join(parts), sql.SQL(", ").join(sums))
    with _as_application(live):
        (row,) = _as_owner(live, statement, _COUNTS, _owner(shapes))
    return [int(one) for one in str(row[0]).strip("{}").split(",")]


def check_constraints(live: Connection, shapes: Iterable[Shape]) -> None:
    """Have everything that was put off to the end looked at now: keys, and the owner's own constraint triggers."""
    owners = sorted({one.owner for one in shapes if one.owner})
    with _as_application(live):
        if owners:
            _as_owner(live, _CONSTRAINTS.format(), _NOTHING, owners[0])
            check_nothing_put_off(live)
        else:
            tell(live, _CONSTRAINTS.format())


def let_read(live: Connection, table: sql.Identifier, shape: Shape) -> None:
    """Let the owner read a temporary table of ours, for the statements that run as him."""
    if shape.owner:
        tell(live, sql.SQL("grant select on {} to {}").format(table, sql.Identifier(shape.owner)))


def let_fill(live: Connection, table: sql.Identifier, images: sql.Identifier, shape: Shape) -> None:
    """Let the owner make rows of what we read: read the one temporary table of ours, and insert into the other."""
    if shape.owner:
        owner = sql.Identifier(shape.owner)
        tell(live, sql.SQL("grant select on {} to {}").format(images, owner))
        tell(live, sql.SQL("grant select, insert on {} to {}").format(table, owner))


def fill_as_owner(live: Connection, statement: sql.Composed, shape: Shape) -> None:
    """Run a statement that makes rows of a table's types, with no more rights than its owner has.

    Casts and domains within arrays and composite types may be his. Names mean PostgreSQL's own objects.
    """
    if shape.owner:
        _as_owner(live, statement, _NOTHING, shape.owner)
    else:
        tell(live, statement)


def _owner(shapes: Iterable[Shape]) -> str:
    owners = {one.owner for one in shapes}
    if len(owners) > 1:
        named = ", ".join(sorted(filter(None, owners)))
        raise Refused(
            f"rows of tables with several owners ({named}) can only be written in one transaction; nothing was changed",
            "use a role that may write to all of them and is not a superuser",
        )
    return owners.pop() if owners else ""


def _as_owner(live: Connection, statement: sql.Composed, gives: sql.SQL, owner: str) -> list[tuple[str | None, ...]]:
    if not owner:
        return ask(live, statement)
    with called_as(live, statement, gives, owner) as calling:
        return ask(live, calling)


@contextmanager
def _as_application(live: Connection) -> Iterator[None]:
    resolve_as_application(live, local=True)
    yield
    resolve_in_catalog(live, local=True)
