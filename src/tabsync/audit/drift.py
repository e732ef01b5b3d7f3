"""What is not any more as it was installed: each thing by its name, with what puts it right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import sql

from tabsync.audit.database import cast_guard, role_install, trigger_grants
from tabsync.audit.database.functions import functions
from tabsync.audit.database.indexes import WORDS, lacking
from tabsync.audit.database.months import AHEAD, BEFORE, BEHIND, first_of, near, written
from tabsync.audit.database.partitions import bounds
from tabsync.audit.database.privileges import OURS
from tabsync.audit.database.refuse import overwritten
from tabsync.audit.database.schema import looseness, settings_of, user_type
from tabsync.audit.database.setup import DATABASE, OWNER, Setup, beside, rows, table_facts
from tabsync.audit.drift_tables import wrong_tables
from tabsync.kernel.clock import iso, local
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = named(__package__, "drift.sql")
MOST = 100_000
"""Rows of the default partition are counted up to here."""
NEWEST = 10_000
"""So many entries are looked at for who acted."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as it should be.

    part: which part of a repair puts it right, with the table for "triggers"; "" where a person has to; weak: it is
    worth a word, and everything is recorded all the same.
    """

    told: str
    part: str = ""
    hint: str = ""
    weak: bool = False


def drift(connection: Connection, setup: Setup) -> list[Drift]:
    """All that differs from what `audit install` would make of the manual today."""
    found = [
        *_policy(connection, setup),
        *(Drift(*one) for one in wrong_tables(connection, setup)),
        *_functions(connection, setup),
        *_log(connection, setup),
        *_months(connection, setup),
        *_gaps(connection),
        *_invalid(connection, setup),
        *_rights(connection, setup),
        *_users(connection, setup),
        *_new_tables(connection, setup),
        *_subscriptions(connection, setup),
    ]
    if setup.missing:  # what a person has renamed would lose its triggers
        first = "correct the manual first"
        found = [replace(one, part="", hint=one.hint or first) if one.part == "policy" else one for one in found]
    return found


def counted(connection: Connection, setup: Setup) -> Facts:
    """Numbers: entries that could not be written, when the last one, months ahead, rows in the default partition."""
    found = rows(connection, "gaps", of=SQL)[0]
    now = rows(connection, "now", of=DATABASE)[0]["now"]
    last = datetime.fromtimestamp(found["last_gap"]).astimezone() if found["last_gap"] else None
    default = _default_rows(connection, setup)
    return {
        "gaps": found["gaps"],
        "last_gap": iso(last) if last else None,
        "months_ahead": months_ahead(bounds(connection, setup.log), now),
        "default_rows": default["rows"] if default else 0,
    }


def months_ahead(parts: list[Facts], now: datetime) -> int:
    """How many months after the current one have a partition, without a gap between; -1: not even the current one."""
    ahead = -1
    while ahead < 1_200 and any(_takes(one, first_of(now, ahead + 1) if ahead >= 0 else now) for one in parts):
        ahead += 1
    return ahead


def _takes(one: Facts, moment: datetime) -> bool:
    if one["is_default"]:
        return False
    return (one["since"] is None or one["since"] <= moment) and (one["until"] is None or moment < one["until"])


def _policy(connection: Connection, setup: Setup) -> Iterator[Drift]:
    log = settings_of(connection).get("log")
    if log != str(setup.log):
        yield Drift(f"the manual names the log {setup.log}, and {log} is installed", hint="tabsync audit remove")
    there = {Relation(one["schema"], one["name"]): one for one in rows(connection, "policy", of=SQL)}
    for one in setup.tables:
        found = there.pop(one.relation, None)
        wanted = {"must": one.must, "entity": one.entity, "keys": list(one.keys), "secret": list(one.secret)}
        if found is None:
            yield Drift(f"{one.relation} is audited by the manual, and not in the database", "policy")
        elif changed := [name for name, value in wanted.items() if found[name] != value]:
            bare = [name for name in one.secret if name not in found["secret"]]
            shown = f": {', '.join(bare)} is shown in its entries" if bare else ""
            yield Drift(f"{one.relation} was installed with another {', '.join(changed)}{shown}", "policy")
    for relation in there.keys() - set(setup.missing):
        yield Drift(f"{relation} is audited in the database, and not by the manual", "policy")
    ranks = {one["role"]: (set(one["above"]), one["sign_up"]) for one in rows(connection, "roles", of=SQL)}
    if ranks != {one.role: (set(one.above), one.sign_up) for one in setup.roles}:
        yield Drift("the roles of the manual have changed since the install", "policy")


def _functions(connection: Connection, setup: Setup) -> Iterator[Drift]:
    found = {one["name"]: one for one in rows(connection, "functions", of=SQL)}
    for one in functions(setup.log, user_type(connection, setup)):
        there = found.get(one.name)
        name = f"the function {OWNER}.{one.name}"
        if there is None:
            yield Drift(f"{name} is missing", "functions")
        elif there["body"] != one.body or there["definer"] != one.definer or there["settings"] != one.config():
            yield Drift(f"{name} was replaced", "functions")
        elif there["owner"] != setup.owner:
            yield Drift(f"{name} belongs to {there['owner']}", "functions")


def _log(connection: Connection, setup: Setup) -> Iterator[Drift]:
    facts = table_facts(connection, setup.log)
    if facts is None or facts["kind"] != "p":
        yield Drift(f"{setup.log} is {'missing' if facts is None else 'not partitioned'}", "", "tabsync audit install")
        return
    if (schema := rows(connection, "schema_owner", schema=OWNER)[0]["owner"]) != setup.owner:
        yield Drift(f"the schema {OWNER} belongs to {schema}", "functions")
    oids = [facts["oid"], *(one["oid"] for one in bounds(connection, setup.log))]
    for one in rows(connection, "owners", of=SQL, oids=oids):
        if one["owner"] != setup.owner:
            yield Drift(f"{Relation(one['schema'], one['name'])} belongs to {one['owner']}", "log")
    for one in rows(connection, "too_much", of=SQL, oids=oids, ours=list(OURS)):
        yield Drift(f"{one['role']} has {one['privilege']} on {one['name']}", "log")
    for ending in lacking(connection, setup.log):
        told = f"the log, or a partition of it, has no index on {WORDS[ending]}: reading it is slow"
        yield Drift(told, "indexes", weak=True)


def _months(connection: Connection, setup: Setup) -> Iterator[Drift]:
    now = rows(connection, "now", of=DATABASE)[0]["now"]
    parts = bounds(connection, setup.log)
    ahead = months_ahead(parts, now)
    if ahead < 0:
        yield Drift("the current month has no partition: its entries go to the default partition", "months")
    elif ahead < AHEAD:
        yield Drift(f"{ahead} of {AHEAD} months ahead have a partition", "months", weak=ahead >= 1)
    if not any(one["is_default"] for one in parts):
        yield Drift("the log has no default partition: entries of a month without one can't be written", "log")
    default = _default_rows(connection, setup)
    if default and default["rows"]:
        more = "at least " if default["rows"] == MOST else ""
        yield Drift(f"the default partition has {more}{default['rows']:,} entries", "default")
    if default and default["far"]:
        more = "at least " if default["far"] == MOST else ""
        count = "1 entry" if default["far"] == 1 else f"{more}{default['far']:,} entries"
        yield Drift(
            f"{count} of the log: the time is more than {BEHIND} months ago, or {BEFORE} months ahead. They stay in the"
            " default partition",
            weak=True,
        )


def _gaps(connection: Connection) -> Iterator[Drift]:
    found = rows(connection, "gaps", of=SQL)[0]
    known = settings_of(connection).get("gaps_known", 0)
    if found["gaps"] > known:
        last = datetime.fromtimestamp(found["last_gap"]).astimezone()
        yield Drift(
            f"{found['gaps'] - known:,} changes could not be recorded, the last one {local(iso(last))}",
            "gaps",
            "the server's log says why, in its warnings",
        )


def _invalid(connection: Connection, setup: Setup) -> Iterator[Drift]:
    names = {"log": setup.log.identifier(), "newest": sql.Literal(NEWEST)}
    if not bounds(connection, setup.log):
        return
    found = connection.execute(sql.SQL(SQL["invalid"]).format(**names)).fetchone() or (0,)
    if found[0]:
        count = "1 entry" if found[0] == 1 else f"{found[0]:,} entries"
        yield Drift(
            f"{count} of the last day can't name who acted: the signature is wrong or had expired. See to the clock and"
            " the key of the application, and that its claims live longer than its transactions",
            weak=True,
        )


def _rights(connection: Connection, setup: Setup) -> Iterator[Drift]:
    for one in rows(connection, "casts"):
        yield Drift(
            f"the type {one['type']} has a cast to JSON, {one['function']}, which runs as the owner of the log",
            "",
            "drop the cast",
        )
    why, remedy = cast_guard.wrong(connection)
    if why:
        told = f"the event trigger tabsync_audit_cast, which refuses casts to JSON, {why}"
        yield Drift(told, "casts" if cast_guard.repairs(connection) else "", remedy)
    if setup.owner == OWNER and (may := looseness(connection)):
        yield Drift(f"the role {OWNER}, which owns the log, may {', '.join(may)}", "role")
    for one in rows(connection, "members", role=OWNER):
        yield Drift(f"{one['role']} is a member of {OWNER} and can change the log", weak=True)
    for told in overwritten(connection):
        yield Drift(told, weak=True)
    if settings_of(connection).get("claims_key"):
        for one in rows(connection, "members", role="pg_read_all_data"):
            told = f"{one['role']} is a member of pg_read_all_data: it can read the key of signed claims, and sign them"
            yield Drift(told, weak=True)


def _users(connection: Connection, setup: Setup) -> list[Drift]:
    try:
        strange = [Drift(told, "", "drop it") for told in trigger_grants.strange(connection, setup)]
        return [*(Drift(told, "users") for told in role_install.drift(connection, setup)), *strange]
    except BadUsage as error:
        return [Drift(error.fact, "", f"{error.hint}; until then no role can be changed")]


def _new_tables(connection: Connection, setup: Setup) -> Iterator[Drift]:
    """Tables beside the audited ones that were not there when it was installed."""
    known = {relation_named(name) for name in settings_of(connection).get("known_tables", [])}
    audited = {one.relation for one in setup.tables}
    for relation in beside(connection, setup.tables):
        if relation not in known | audited and relation != setup.log:
            yield Drift(
                f"{relation} is new and not audited",
                "",
                "add it to the table Audit of the manual; or, if it is not to be audited: tabsync audit install",
            )


def _default_rows(connection: Connection, setup: Setup) -> Facts | None:
    default = [one for one in bounds(connection, setup.log) if one["is_default"]]
    if not default:
        return None
    since, until = (sql.Literal(written(one)) for one in near(rows(connection, "now", of=DATABASE)[0]["now"]))
    table = sql.Identifier(default[0]["schema"], default[0]["name"])
    names = {"table": table, "most": sql.Literal(MOST), "since": since, "until": until}
    found = connection.execute(sql.SQL(SQL["rows_in"]).format(**names)).fetchone() or (0, 0)
    return {"rows": found[0], "far": found[1]}


def _subscriptions(connection: Connection, setup: Setup) -> Iterator[Drift]:
    """What comes by logical replication: its rows fire no statement trigger."""
    audited = {(one.relation.schema, one.relation.name) for one in setup.tables}
    for one in rows(connection, "subscriptions", of=SQL):
        if (one["schema"], one["name"]) in audited:
            table = Relation(one["schema"], one["name"])
            yield Drift(f"what the subscription {one['subscription']} changes in {table} is not recorded", weak=True)
