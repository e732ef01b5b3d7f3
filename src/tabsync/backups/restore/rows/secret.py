"""Columns whose values the audit log hides: taken from a backup, or left empty when that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from psycopg import sql

from tabsync.backups.restore.rows.comparison import MISSING, looked_up
from tabsync.backups.restore.rows.logged import NUMBER, SQL, AuditLog, Logged
from tabsync.backups.restore.rows.shape import Shape, make_uniform, shape_of
from tabsync.copies.partial import reader
from tabsync.copies.row_text import columns, copy_in, matches, spelled, stream, tell
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.as_owner import without_event_triggers
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

_CREATE = sql.SQL("create temporary table {} ({}) on commit drop")
_UPDATE = sql.SQL("update {rows} as r set {pairs} from {secrets} as s, {images} as i where {keys} and i.n = r.{number}")
_WHERE_UNREADABLE = sql.SQL("{0} = case when i.image ->> {1} is not null then s.{0} end")
_WHERE_MASKED = sql.SQL(
    "{0} = case when i.image ->> {1} in ('(secret)', '(erased)') or i.image -> {1} ? '(not recorded)' then s.{0}"
    " else r.{0} end"
)


def hiding_tables(connection: Connection, tables: Sequence[Relation]) -> list[Relation]:
    """Of some tables those that have columns which the log hides."""
    hiding = {Relation(schema, name) for schema, name in connection.execute(SQL["hiding"]).fetchall()}
    return [one for one in tables if one in hiding or _written_otherwise(connection, one)]


def _written_otherwise(connection: Connection, table: Relation) -> bool:
    query = SQL["written_otherwise"]
    return connection.execute(query, {"schema": table.schema, "name": table.name}).fetchone() is not None


def check_secrets(tables: Sequence[Facts]) -> None:
    """Refuse to insert rows without the values that the log hides. tables: those that are written to."""
    for one in tables:
        if one[MISSING] and (masked := one.get("masked")):
            relation, named = Relation(one["schema"], one["name"]), ", ".join(masked)
            raise Refused(
                f"{one[MISSING]:,} rows of {relation} would come back without {named}: the audit log does not have it",
                "to take it from a backup: --secrets-from latest; to leave it empty: --without-secrets",
            )


def add_secrets(
    log: AuditLog, found: dict[Relation, Logged], shapes: Sequence[Shape], servers: Path, beside: Facts
) -> None:
    """Put what a backup has of the hidden columns into the rows.

    servers: where servers of ours are; beside: the place of the copy below it, its database, and what it is in words.
    Rows that the backup doesn't have stay without.
    """
    with reader(servers / beside["place"], beside["database"]) as copy:
        make_uniform(copy, local=False)
        for here in shapes:
            logged = found.get(here.relation)
            if logged is not None and logged.masked:
                _add(log, logged, here, copy, beside["told"])


def _add(log: AuditLog, logged: Logged, here: Shape, copy: Connection, told: str) -> None:
    there = shape_of(copy, here.relation)
    names = [one for one in logged.masked if there and one in {column.name for column in there.columns}]
    if there is None or not names or set(there.key or here.key) != set(here.key):
        logged.notes.append(f"{told} does not have {', '.join(logged.masked)}")
        return
    secrets = sql.Identifier("pg_temp", f"secrets_{logged.names.number}")
    own = [*here.key, *names]
    fields = [sql.SQL("{} {}").format(sql.Identifier(one), spelled(here.column(one).base)) for one in own]
    with without_event_triggers(log.connection):
        tell(log.connection, _CREATE.format(secrets, sql.SQL(", ").join(fields)))
    rows = logged.names.table("rows")
    gone = sql.SQL("select {} from {} as r join {} as i on i.n = r.{} where not i.there").format(
        columns(here.key, "r"), rows, logged.names.table("images"), sql.Identifier(NUMBER)
    )
    keys = [row for page in stream(log.connection, gone) for row in page]
    values = looked_up(copy, here, names, keys)
    copy_in(log.connection, secrets, [(*key, *row) for key, row in zip(keys, values, strict=True) if row is not None])
    pairs = [
        (_WHERE_UNREADABLE if one in logged.unreadable else _WHERE_MASKED).format(sql.Identifier(one), sql.Literal(one))
        for one in names
    ]
    keyed = matches("r", here.key, "s", here.key, here.equal)
    parts = {"images": logged.names.table("images"), "number": sql.Identifier(NUMBER)}
    update = _UPDATE.format(rows=rows, secrets=secrets, pairs=sql.SQL(", ").join(pairs), keys=keyed, **parts)
    tell(log.connection, update)
    _told(logged, here, names, told, sum(row is None for row in values))


def _told(logged: Logged, here: Shape, names: Sequence[str], told: str, lacking: int) -> None:
    known = {one.name for one in logged.shape.columns} | set(names)
    logged.with_columns(tuple(one for one in here.columns if one.name in known))
    logged.notes = [one for one in logged.notes if ": the log does not have its values" not in one]
    logged.notes.append(f"{', '.join(names)}: as in {told}; the log does not have it")
    if lacking:
        logged.notes.append(f"{lacking:,} rows are not in {told}: {', '.join(names)} would be empty in these")
    else:
        logged.masked = [one for one in logged.masked if one not in names]
