"""What the log has of a table, made rows of its types; and what must be known of them before they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from tabsync.backups.restore.rows.as_owner import fill_as_owner, let_fill
from tabsync.backups.restore.rows.condition_here import check_here
from tabsync.backups.restore.rows.logged import BOUND_IT, NUMBER, Audited, AuditLog, Logged
from tabsync.backups.restore.rows.shape import Column, Shape
from tabsync.copies.row_text import ask, columns, matches, spelled, tell
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused, words_of
from tabsync.kernel.step import Facts
from tabsync.postgres.as_owner import without_event_triggers
from tabsync.postgres.catalog import Relation

_CREATE = sql.SQL("create temporary table {} ({}, {} bigint) on commit drop")
_MASKED_IN = sql.SQL(
    "array(select m.key from pg_catalog.jsonb_each(i.image) as m where m.key operator(pg_catalog.=) any ({}::text[])"
    ' and (m.value operator(pg_catalog.=) any (\'{{"\\"(secret)\\"","\\"(erased)\\""}}\'::pg_catalog.jsonb[])'
    " or m.value operator(pg_catalog.?) '(not recorded)'))"
)
"""What of an image never reached the log, or was masked in it since."""

_READ_ALONE = sql.SQL(
    "select pg_catalog.count(r.*) from {images} as i cross join lateral pg_catalog.jsonb_populate_record(null::{rows},"
    " pg_catalog.jsonb_build_object({name}::text, i.image operator(pg_catalog.->) {name}::text)) as r"
    " where i.image operator(pg_catalog.->>) {name}::text not in ('(secret)', '(erased)')"
)
_JSON = ("json", "jsonb")


def taken(log: AuditLog, here: Shape, audited: Audited, where: str, along: Logged | None = None) -> Logged:
    """The rows of a table as the log has them: those of a condition, or what the transactions of other rows did.

    here: the table as it is; where: "" for all; along: these other rows. Raises BadUsage for a condition that isn't
    one, or names a column that the log doesn't have.
    """
    names = log.images(here, audited, where, along)
    totals = log.rows("totals", names.all())[0]
    fields = {one["name"]: one for one in log.rows("fields", names.all())}
    relation = here.relation
    otherwise = log.rows("written_otherwise", schema=relation.schema, name=relation.name)
    unreadable = frozenset(one["name"] for one in otherwise) & fields.keys()
    for name in unreadable:
        fields[name] |= {"masked": fields[name]["values"], "masked_there": fields[name]["changed_there"]}
    masked = [one.name for one in here.columns if one.name in fields and fields[one.name]["masked"]]
    unknown = [name for name in masked if fields[name]["masked"] == totals["gone"]]
    known = [one for one in here.columns if not totals["gone"] or fields.get(one.name, {"given": 0})["given"]]
    shape = replace(
        here,
        relation=Relation("pg_temp", f"rows_{names.number}"),
        kind="r",
        columns=tuple(one for one in known if one.name not in unknown),
        triggers=(),
    )
    found = Logged(names, shape, masked, unreadable, totals["gone"], totals["there"], last=totals["last"] or "")
    if where:
        check_here(where, here.relation.name, [one.name for one in shape.columns])
    found.chosen = _fill(log, here, audited, found, where, fields)
    if along is None:
        found.xids, found.newest = _transactions(log, found)
    found.notes = list(_notes(log, here, found, fields, audited))
    return found


def _transactions(log: AuditLog, found: Logged) -> tuple[list[str], int]:
    """The transactions that took the rows which the condition chose, and the last entry of these."""
    parts = found.names.all() | {"number": sql.Identifier(NUMBER)}
    one = log.rows("xids_of", parts)[0]
    return list(one["xids"]), one["newest"] or 0


def _fill(
    log: AuditLog,
    here: Shape,
    audited: Audited,
    found: Logged,
    where: str,
    fields: dict[str, Facts],
) -> int:
    """Make the images rows of the types behind the domains, as the table's owner; gives how many there are."""
    names, gone = found.names, found.gone
    rows, images = names.table("rows"), names.table("images")
    made = [sql.SQL("{} {}").format(sql.Identifier(one.name), spelled(one.base)) for one in here.columns]
    with without_event_triggers(log.connection):
        tell(log.connection, _CREATE.format(rows, sql.SQL(", ").join(made), sql.Identifier(NUMBER)))
        let_fill(log.connection, rows, images, here)
    own = [one.name for one in here.columns]
    hidden = [name for name, one in fields.items() if one["masked"] or one["masked_there"]]
    key = here.key or audited.keys
    statement = sql.SQL(log.statement("fill")).format(
        rows=rows,
        images=images,
        number=sql.Identifier(NUMBER),
        columns=columns(own),
        of_image=_of_image(here),
        of_row=columns(own, "r"),
        of_table=columns(own, "t"),
        defaults=_jsonb(_missing(log, here, fields, gone)),
        masked=_left_out(hidden, found.unreadable),
        key=_key_of(audited.keys),
        table=here.source(),
        pairs=matches("t", key, "k", key, here.equal),
        name=sql.Identifier(here.relation.name),
    )
    log.connection.execute("savepoint tabsync_fill")
    try:
        fill_as_owner(log.connection, statement + spelled(where or "true") + sql.SQL("\n)"), here)
    except psycopg.errors.QueryCanceled:
        raise Refused("reading the audit log took too long", BOUND_IT) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(f"not allowed: {words_of(error)}", "use the table's owner") from None
    except psycopg.DataError as error:
        log.connection.execute("rollback to savepoint tabsync_fill")
        raise _not_read(log, here, rows, images, fields, error) from None
    except psycopg.Error as error:
        fact = f"the rows can't be read from the audit log: {words_of(error)}"
        hint = "check the condition; where a column's type has changed since, use a backup: --from latest"
        raise BadUsage(fact, hint) from None
    return int(ask(log.connection, sql.SQL("select count(*) from {}").format(rows))[0][0] or 0)


def _left_out(hidden: Sequence[str], unreadable: Collection[str]) -> sql.Composable:
    """The columns of an image that no row is made of: what is masked in it, and what no type reads."""
    always = sql.SQL("{}::pg_catalog.text[]").format(sql.Literal(sorted(unreadable)))
    if not (masked := sorted({*hidden} - {*unreadable})):
        return always
    return sql.SQL("({} operator(pg_catalog.||) {})").format(_MASKED_IN.format(sql.Literal(masked)), always)


def _not_read(
    log: AuditLog,
    here: Shape,
    rows: sql.Identifier,
    images: sql.Identifier,
    fields: Mapping[str, Facts],
    error: psycopg.Error,
) -> BadUsage:
    """Which column can't be read back, found by reading each alone; it may be the condition as well."""
    for one in (column for column in here.columns if column.name in fields):
        name = sql.Literal(one.name)
        try:
            fill_as_owner(log.connection, _READ_ALONE.format(rows=rows, images=images, name=name), here)
        except psycopg.DataError as its:
            fact = f"column {one.name} can't be read from the audit log as {one.type}: {words_of(its)}"
            return BadUsage(fact, "its type has changed since; a backup of that time has the rows: --from latest")
    return BadUsage(f"the rows can't be read from the audit log: {words_of(error)}", "check the condition")


def _missing(log: AuditLog, here: Shape, fields: dict[str, Facts], gone: int) -> dict[str, str]:
    """What columns that came in between hold in the rows that were deleted before."""
    lacking = {name for name, one in fields.items() if 0 < one["given"] < gone}
    if not lacking:
        return {}
    values = log.rows("missing_values", schema=here.relation.schema, name=here.relation.name)
    return {one["name"]: one["value"] for one in values if one["name"] in lacking}


def _notes(log: AuditLog, here: Shape, found: Logged, fields: dict[str, Facts], audited: Audited) -> Iterator[str]:
    """What the log can't give back exactly, of a table."""
    by_name = {one.name: one for one in here.columns}
    for name in found.masked:
        why = "is secret" if name in audited.secret else "was erased in the log, or could not be recorded"
        why = "has a type that does not read what the log has" if name in found.unreadable else why
        of = "" if fields[name]["masked"] == found.gone else f" of {fields[name]['masked']:,} rows"
        yield f"column {name} {why}: the log does not have its values{of}"
    for name, one in fields.items():
        if one["masked_there"]:
            why = (
                "the log does not have it in a form to read"
                if name in found.unreadable
                else "its values are not in the log"
            )
            yield f"column {name} was changed too; {why}, so it stays as it is"
        if name not in by_name:
            yield f"column {name} is only in the log: it is left out"
        elif 0 < one["given"] < found.gone:
            yield f"column {name} was added in between: {found.gone - one['given']} rows are from before"
    for column in here.columns:
        if found.gone and not column.generated and not fields.get(column.name, {"given": 0})["given"]:
            yield f"column {column.name} was added since: restored rows get its default"
        if not column.not_null and column.bare in _JSON and (nulls := fields.get(column.name, {"nulls": 0})["nulls"]):
            yield f"column {column.name}: {nulls} rows get NULL, which may have been JSON's null"
        within = fields.get(column.name, {"nulls_within": 0})["nulls_within"]
        if column.bare in ("json[]", "jsonb[]") and within:
            yield f"column {column.name}: {within} rows have NULL in the array, which may have been JSON's null"
    inexact = [(one.name, _inexact(one, fields[one.name], found.gone)) for one in found.shape.columns if found.gone]
    if told := [f"{name} ({why})" for name, why in inexact if why]:
        yield f"equal, but perhaps written otherwise than before: {', '.join(told)}"


def _inexact(column: Column, given: Facts, gone: int) -> str:
    """What of a column's values the log doesn't keep, as far as its values can have had it."""
    if given["nulls"] == gone:
        return ""
    if column.bare.endswith("[]"):
        return "lower bounds, spacing, order, doubled keys" if column.bare == "json[]" else "lower bounds"
    if column.bare in ("real", "double precision"):
        return "-0 is 0" if given["zeros"] else ""
    return "spacing, order, doubled keys" if column.bare == "json" else ""


def _of_image(here: Shape) -> sql.Composed:
    """The columns of a row made of an image. NULL in a JSON column that is NOT NULL was JSON's own null."""
    parts = []
    for one in here.columns:
        name = sql.Identifier("r", one.name)
        null = sql.SQL("coalesce({0}, 'null') as {1}").format(name, sql.Identifier(one.name))
        parts.append(null if one.not_null and one.bare in _JSON else name)
    return sql.SQL(", ").join(parts)


def _key_of(keys: Sequence[str]) -> sql.Composed:
    """The key of an image as an object: the log has it as text, several columns as an array."""
    value = "i.key" if len(keys) == 1 else "i.key::pg_catalog.jsonb -> {}"
    parts = [sql.Literal(name) + sql.SQL(", " + value.format(at)) for at, name in enumerate(keys)]
    return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(parts))


def _jsonb(values: dict[str, str]) -> sql.Composed:
    parts = [part for name, value in values.items() for part in (sql.Literal(name), sql.Literal(value))]
    return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(parts))
