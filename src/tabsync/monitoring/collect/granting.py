"""What would let a role see what it can't: the statements, from the catalog and not from the words of an error.

A server speaks any language, and an error names the first table that is refused only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tabsync.postgres.queries import named
from tabsync.postgres.readonly import Reader
from tabsync.postgres.readonly_text import statements

_SQL = named(__package__, "granting.sql")
_MONITOR = "pg_monitor"


@dataclass(frozen=True, slots=True)
class Unseen:
    """A metric that is not visible here, and why. sql: its query, "" where it has none."""

    title: str
    why: str
    sql: str = ""


def remedies(reader: Reader, seconds: float, unseen: Sequence[Unseen]) -> tuple[str, dict[str, list[str]]]:
    """Which role looks, and for each metric the statements that would let it see what that needs; [] for none known.

    Raises psycopg.Error when the server can't be asked.
    """
    wanted = {one.title: relations_in(one.sql) for one in unseen}
    names = sorted({name for tables in wanted.values() for _, name in tables})
    asked = psycopg.ClientCursor(reader.conn).mogrify(_SQL["relations"].encode(), {"names": names})
    whoami, found = reader.look(seconds, _SQL["whoami"], asked)
    role = str(whoami[0]["role"])
    told = {}
    for one in unseen:
        monitor = [f"grant {_MONITOR} to {role};"] if _MONITOR in one.why and not whoami[0]["monitors"] else []
        told[one.title] = monitor + list(_grants(found, wanted[one.title], role))
    return role, told


def relations_in(sql: str) -> set[tuple[str, str]]:
    """The (schema, name) of the relations that a query names, the schema "" where it says none."""
    try:
        trees = statements(sql)
    except (SqlglotError, ValueError):
        return set()
    found = set()
    for tree in trees:
        own = {one.alias_or_name for one in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and (table.db or table.name not in own):
                found.add((_name(table.args.get("db")), _name(table.this)))
    return found


def _name(identifier: object) -> str:
    if not isinstance(identifier, exp.Identifier):
        return ""
    return identifier.name if identifier.quoted else identifier.name.lower()


def _grants(rows: Sequence[Mapping[str, Any]], wanted: Iterable[tuple[str, str]], role: str) -> Iterable[str]:
    for schema, name in sorted(wanted):
        meant = [one for one in rows if one["name"] == name and schema in ("", one["schema"])]
        if any(one["enters"] and one["reads"] for one in meant):
            continue  # one of that name can be read, and so it is the one that the query finds
        for one in meant:
            if not one["enters"]:
                yield f"grant usage on schema {one['quoted_schema']} to {role};"
            if not one["reads"]:
                yield f"grant select on {one['quoted_name']} to {role};"
