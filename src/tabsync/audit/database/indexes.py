"""The indexes that the log needs beside its key (id, created_at): (xid, id) for the seals, two for reading.

Every entry that is written pays for them, so two of them hardly cost anything: `rare` has the few entries that are no
INSERT and no UPDATE, and `seen` is a BRIN index, a summary of each 32 pages, which is written once these are full. What
is frequent is found in the newest entries by the key; for what is rare `seen` tells which pages can have it.
`entity_id` is the seed's own.
https://www.postgresql.org/docs/current/brin.html

A log that is partitioned already gets them partition by partition, while others write:
https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
"""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from tabsync.audit.database.locks import patiently
from tabsync.audit.database.months import part_name
from tabsync.audit.database.setup import Setup, rows, run, table_facts
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "indexes.sql")

_FEW, _MANY = (f"text_bloom_ops (n_distinct_per_range = {number})" for number in (64, 1000))
"""How many values the 1,000 entries of 32 pages may have: tables, roles, applications; and people."""

INDEXES: dict[str, LiteralString] = {
    "xid": "(xid, id)",
    "rare": "(action, id) where action not in ('INSERT', 'UPDATE')",
    "seen": (
        f"using brin (id, created_at, table_name {_FEW}, actor {_MANY}, db_user {_FEW}, app {_FEW})"
        " with (pages_per_range = 32, autosummarize = on)"
    ),
}
"""By the ending of their name, what follows CREATE INDEX ... ON the log.

--table, --by, --app: seen; --action: rare, or the key; --since, --until: seen, partitions; --transaction: (xid, id);
--key: entity_id; restore rows: rare, entity_id, (xid, id).
"""

WORDS = {
    "xid": "the transaction (xid, id)",
    "rare": "deletions and other rare actions (action, id)",
    "seen": "times, tables and people (BRIN)",
}
"""What each is on, for people."""
_SHAPES = {
    "xid": ("btree", ["xid", "id"], False),
    "rare": ("btree", ["action", "id"], True),
    "seen": ("brin", ["id", "created_at", "table_name", "actor", "db_user", "app"], False),
}
"""Each as the catalog has it: its method, its columns, whether it is partial. Whatever it is named, it is that one."""


def lacking(connection: Connection, log: Relation) -> list[str]:
    """Which of them a partitioned log lacks, or some partition of it, by the ending of their names."""
    facts = table_facts(connection, log) or {}
    there = rows(connection, "there", of=_SQL, oid=facts["oid"])
    return [ending for ending in INDEXES if not any(one["valid"] and _is(one, ending) for one in there)]


def build(connection: Connection, setup: Setup) -> Facts:
    """Build those that a partitioned log lacks, each partition by itself, beside the writers. It may run again.

    Raises FailedPartway when a lock does not come.
    """
    endings = lacking(connection, setup.log)
    for ending in endings:
        _build(connection, setup.log, ending)
    return {"built": endings}


def _build(connection: Connection, log: Relation, ending: str) -> None:
    what = sql.SQL(INDEXES[ending])
    oid = (table_facts(connection, log) or {})["oid"]
    if not [one for one in rows(connection, "there", of=_SQL, oid=oid) if _is(one, ending)]:
        names = {"name": sql.Identifier(part_name(log.name, f"tabsync_{ending}")), "table": log.identifier()}
        patiently(connection, f"index {log}", lambda: run(connection, "on_parent", of=_SQL, what=what, **names))
    whole = next(one for one in rows(connection, "there", of=_SQL, oid=oid) if _is(one, ending))
    parent = sql.Identifier(whole["schema"], whole["name"])
    for part in rows(connection, "without", of=_SQL, log=oid, index=whole["oid"]):
        index = sql.Identifier(part["schema"], part_name(part["name"], f"tabsync_{ending}"))
        run(connection, "drop", of=_SQL, index=index)  # what an attempt that was ended has left
        name = sql.Identifier(part_name(part["name"], f"tabsync_{ending}"))
        run(connection, "build", of=_SQL, name=name, table=sql.Identifier(part["schema"], part["name"]), what=what)
        names = {"parent": parent, "index": index}
        patiently(connection, f"index {log}", lambda n=names: run(connection, "attach", of=_SQL, **n))  # type: ignore[misc]


def _is(one: Facts, ending: str) -> bool:
    return (one["method"], one["columns"], one["partial"]) == _SHAPES[ending]
