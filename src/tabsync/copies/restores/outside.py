"""What in a copy would act by itself or on others stays off until a person turns it on, and is named (decision 0020).

Materialized views that reach another server are made and not filled. Jobs of a scheduler are switched off, and so are
event triggers, login triggers with them, where the server can do that for a database (PostgreSQL 17 and later).
Subscriptions are left out of every copy (restore_new) or made without a connection (pg_dump writes connect = false).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, quoted
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.toc import Entry, dependents

SQL = named(__package__, "outside.sql")

_REFRESH = "MATERIALIZED VIEW DATA"
_ROUTINES = ("FUNCTION", "PROCEDURE", "AGGREGATE")
_REACHING = ("dblink", "http", "pg_net", "plpython3u", "plpythonu", "plperlu", "pltclu", "plsh")
"""Extensions whose functions reach beyond the database."""

_CALLS = re.compile(r"\b(dblink\w*|http_(?:get|post|put|patch|delete|head)|net\.http_\w+)\s*\(", re.IGNORECASE)
_UNTRUSTED = re.compile(r"\bLANGUAGE (\w+u|c|plsh)\b")
_WORD = re.compile(r'"((?:[^"]|"")+)"|(\w+)')

_JOBS: Mapping[str, tuple[str, str, str, str]] = {
    "pg_cron": ("cron", "job", "active", "jobid"),
    "pgAgent": ("pgagent", "pga_job", "jobenabled", "jobid"),
    "pg_timetable": ("timetable", "chain", "live", "chain_id"),
}
"""Schedulers: the schema, the table, the column that says whether a job runs, and its key."""


_SWITCH_OFF = sql.SQL("update {table} set {switch} = false where {switch} returning {key}")
_SWITCH_ON = sql.SQL("update {table} set {switch} = true where {key} in ({which})")


def reaching_out(entries: Sequence[Entry]) -> set[int]:
    """The refreshes of materialized views that reach another server, or that read such a view, by dump id."""
    sources = {entry.dump_id for entry in entries if _reaches(entry)}
    if not sources:
        return set()
    sources |= _routines(entries, sources)
    reaching = dependents([entry for entry in entries if entry.kind != "EXTENSION"], sources)
    return {entry.dump_id for entry in entries if entry.kind == _REFRESH and entry.dump_id in reaching}


def without_reaching(entries: Sequence[Entry]) -> list[Entry]:
    """The entries of a copy that reaches nobody."""
    going = reaching_out(entries)
    return [entry for entry in entries if entry.dump_id not in going]


def not_filled(entries: Sequence[Entry]) -> list[str]:
    """The materialized views that a copy leaves empty, in words."""
    going = reaching_out(entries)
    names = [str(Relation(entry.schema, entry.name)) for entry in entries if entry.dump_id in going]
    return [
        f"materialized view {one} has no data: its query reads other systems; run: refresh materialized view {one}"
        for one in names
    ]


def in_scratch(entries: Sequence[Entry]) -> list[str]:
    """What was off in a scratch copy, in words."""
    triggers = [entry.name for entry in entries if entry.kind == "EVENT TRIGGER"]
    feeds = [entry.name for entry in entries if entry.kind == "SUBSCRIPTION"]
    notes = [f"event trigger {quoted(one)} was disabled in the copy" for one in triggers]
    return notes + [f"subscription {quoted(one)} was disabled in the copy" for one in feeds] + not_filled(entries)


def turn_off(connection: Connection, database: str) -> list[str]:
    """Turn off what would act by itself in a database that was just restored; gives what was on, in words."""
    return _event_triggers(connection, database) + _jobs(connection)


def _event_triggers(connection: Connection, database: str) -> list[str]:
    names = [str(row[0]) for row in connection.execute(SQL["event_triggers"], {})]
    if not names:
        return []
    told, name = ", ".join(map(quoted, names)), quoted(database)
    if connection.info.server_version < 170000:
        return [f"event triggers are enabled: {told}; they fire on statements like CREATE TABLE, never by themselves"]
    statement = sql.SQL("alter database {} set event_triggers = off").format(sql.Identifier(database))
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return [f"event triggers are enabled: {told}; only a superuser may turn them off for a database"]
    return [f"event triggers are off in {name}: {told}; to turn them on: alter database {name} reset event_triggers"]


def _jobs(connection: Connection) -> list[str]:
    notes = []
    for scheduler, (schema, table, switch, key) in _JOBS.items():
        given: Facts = {"schema": schema, "table": table, "column": switch}
        if connection.execute(SQL["switch"], given).fetchone() is None:
            continue
        names = {"table": sql.Identifier(schema, table), "switch": sql.Identifier(switch), "key": sql.Identifier(key)}
        with connection.transaction():
            connection.execute(SQL["without_triggers"])
            found = connection.execute(_SWITCH_OFF.format(**names)).fetchall()
        if found:
            which = sql.SQL(", ").join(sql.Literal(row[0]) for row in found)
            again = _SWITCH_ON.format(**names, which=which).as_string(connection)
            notes.append(f"{len(found)} jobs of {scheduler} are off; to turn them on: {again}")
    return notes


def _reaches(entry: Entry) -> bool:
    if entry.kind == "FOREIGN TABLE":
        return True
    if entry.kind == "EXTENSION":
        return entry.name in _REACHING
    if entry.kind in _ROUTINES:
        return bool(_UNTRUSTED.search(entry.definition) or _CALLS.search(entry.definition))
    return False


def _routines(entries: Sequence[Entry], sources: set[int]) -> set[int]:
    """Routines whose text names a foreign table or a routine that reaches out: pg_dump sees nothing of that."""
    routines = [entry for entry in entries if entry.kind in _ROUTINES]
    words = {
        entry.dump_id: {quoted_.replace('""', '"') or plain for quoted_, plain in _WORD.findall(entry.definition)}
        for entry in routines
    }
    names = {entry.name for entry in entries if entry.dump_id in sources and entry.kind == "FOREIGN TABLE"}
    found = {entry.dump_id for entry in routines if entry.dump_id in sources}
    grew = True
    while grew:
        called = names | {entry.name.partition("(")[0] for entry in routines if entry.dump_id in found}
        more = {
            entry.dump_id
            for entry in routines
            if entry.dump_id not in found and words[entry.dump_id] & (called - {entry.name.partition("(")[0]})
        }
        grew = bool(more)
        found |= more
    return found
