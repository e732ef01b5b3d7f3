"""What the default partition has caught gets partitions of its own: a few entries are moved, many stay where they are.

Many: their table itself becomes the partition of its months, and another default takes its place.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from tabsync.audit.database.locks import patiently
from tabsync.audit.database.months import first_of, near, part_name, written
from tabsync.audit.database.partitions import bounds, free_name, like, now
from tabsync.audit.database.setup import Setup, run
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "default_rows.sql")
_LOG = named(__package__, "log.sql")
FEW = 5_000
"""So many entries are moved in some hundredths of a second."""


def move_default(connection: Connection, setup: Setup) -> Facts:
    """Give a partition to each near month of which the default one has entries. Raises FailedPartway without a lock."""
    found = _months(connection, setup)
    here = now(connection)
    beside = {month: _free(connection, setup, month) for month, _ in found}
    open_to_now = [month for month, free in beside.items() if free and free[0] <= here < free[1]]
    many = [month for month, count in found if month in open_to_now and (count > FEW or month == first_of(here))]
    moved = []
    for month, _ in found:
        free = beside[month]
        if free is None or (many and month in open_to_now and month >= many[0]):
            continue
        since, until = month, min(first_of(month, 1), free[1])
        what = f"move entries of {since:%Y-%m}"
        patiently(connection, what, lambda s=since, u=until: _move(connection, setup, s, u))  # type: ignore[misc]
        moved.append(f"{since:%Y-%m}")
    free = beside[many[0]] if many else None
    kept = _exchange(connection, setup, *free) if free else ""
    with suppress(psycopg.Error):  # its file shrinks, which is what is watched; autovacuum does it later
        run(connection, "vacuum", of=_SQL, table=_default(connection, setup).identifier())
    return {"months": moved, "kept": kept}


def _move(connection: Connection, setup: Setup, since: datetime, until: datetime) -> None:
    default = _default(connection, setup)
    run(connection, "lock_log", of=_SQL, log=setup.log.identifier())
    run(connection, "lock_default", of=_SQL, table=default.identifier())
    part = free_name(connection, setup, f"{since:%Y_%m}")
    like(connection, setup, part)
    limits = {"since": sql.Literal(written(since)), "until": sql.Literal(written(until))}
    connection.execute(_SQL["why"], {"why": f"audit repair: moved to {part}"})
    run(connection, "move", of=_SQL, table=default.identifier(), part=part.identifier(), **limits)
    run(connection, "attach", of=_LOG, log=setup.log.identifier(), part=part.identifier(), **limits)


def _exchange(connection: Connection, setup: Setup, since: datetime, until: datetime) -> str:
    """The default partition becomes the one of its time, and another one takes its place."""
    default = _default(connection, setup)
    table, log = default.identifier(), setup.log.identifier()
    last = first_of(until, -1)
    span = f"{since:%Y_%m}" if last <= since else f"{since:%Y_%m}_to_{last:%Y_%m}"
    part = free_name(connection, setup, span)
    fresh = Relation(setup.log.schema, part_name(setup.log.name, "default_next"))
    limits = {"since": sql.Literal(written(since)), "until": sql.Literal(written(until))}

    def bound() -> None:
        run(connection, "no_only", of=_SQL, table=table)
        run(connection, "only", of=_SQL, table=table, **limits)

    def exchange() -> None:
        run(connection, "lock", of=_LOG, log=log)
        connection.execute(_SQL["why"], {"why": f"audit repair: moved to {default}"})
        run(connection, "move_rest", of=_SQL, table=table, part=fresh.identifier(), **limits)
        run(connection, "detach", of=_SQL, log=log, table=table)
        run(connection, "rename", of=_SQL, table=table, name=sql.Identifier(part.name))
        run(connection, "rename", of=_SQL, table=fresh.identifier(), name=sql.Identifier(default.name))
        run(connection, "attach_default", of=_LOG, log=log, part=table)
        run(connection, "attach", of=_LOG, log=log, part=part.identifier(), **limits)
        run(connection, "no_only", of=_SQL, table=part.identifier())

    if not _far(connection, default):  # with such entries, ATTACH has to look at the others
        patiently(connection, f"bound {default}", bound)
        run(connection, "validate_only", of=_SQL, table=table)
    run(connection, "drop", of=_SQL, table=fresh.identifier())
    with connection.transaction():
        like(connection, setup, fresh)
    patiently(connection, f"exchange {default}", exchange)
    return str(part)


def _far(connection: Connection, default: Relation) -> bool:
    found = connection.execute(sql.SQL(_SQL["far"]).format(table=default.identifier(), **_near(connection))).fetchone()
    return bool(found and found[0])


def _near(connection: Connection) -> dict[str, sql.Literal]:
    since, until = near(now(connection))
    return {"since": sql.Literal(written(since)), "until": sql.Literal(written(until))}


def _months(connection: Connection, setup: Setup) -> list[tuple[datetime, int]]:
    names = {"table": _default(connection, setup).identifier(), **_near(connection)}
    found = connection.execute(sql.SQL(_SQL["months"]).format(**names)).fetchall()
    return [(datetime.strptime(month, "%Y-%m-%d").replace(tzinfo=UTC), count) for month, count in found]


def _free(connection: Connection, setup: Setup, month: datetime) -> tuple[datetime, datetime] | None:
    """From where to where no partition is, around a month and up to the end of the current one; None: it is taken."""
    parts = [one for one in bounds(connection, setup.log) if not one["is_default"]]
    if any(_begins(one) <= month and (one["until"] is None or month < one["until"]) for one in parts):
        return None
    until = first_of(max(now(connection), month), 1)
    later = [one["since"] for one in parts if one["since"] and one["since"] > month]
    return month, min([until, *later])


def _begins(one: Facts) -> datetime:
    found: datetime | None = one["since"]
    return found or datetime.min.replace(tzinfo=UTC)


def _default(connection: Connection, setup: Setup) -> Relation:
    one = next(one for one in bounds(connection, setup.log) if one["is_default"])
    return Relation(one["schema"], one["name"])
