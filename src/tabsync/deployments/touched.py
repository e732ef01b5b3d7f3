"""Which tables the statements of migrations name: whatever they do to these, they wait for whoever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.rows import dict_row

from tabsync.migrations.histories.script import Statement, Token
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "deployments.sql")
_NAMES = ("word", "quoted")
_DOT = Token("punct", ".")


def names_in(statements: Iterable[Statement]) -> set[tuple[str, str]]:
    """All that could be a name in some statements, as (schema, name); schema: "" where none stands before it."""
    found: set[tuple[str, str]] = set()
    for one in statements:
        tokens = one.tokens
        for at, token in enumerate(tokens):
            if token.kind not in _NAMES:
                continue
            qualified = at > 1 and tokens[at - 1] == _DOT and tokens[at - 2].kind in _NAMES
            found.add((tokens[at - 2].text if qualified else "", token.text))
    return found


def tables_of(connection: Connection, statements: Iterable[Statement], path: Sequence[str]) -> list[str]:
    """The tables that are there and that some statements name, themselves or by an index: "schema.name".

    path: the schemas of names without one. A column of a table's name makes one too many.
    """
    names = sorted(names_in(statements))
    values = {"schemas": [one[0] for one in names], "names": [one[1] for one in names], "path": list(path)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return [one["name"] for one in cursor.execute(_SQL["tables_named"], values)]
