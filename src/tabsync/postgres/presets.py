"""ALTER DATABASE ... SET as a statement, without setting anything first: the value may be one that ends our session."""

from __future__ import annotations

import re

from psycopg import sql

_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "temp_tablespaces",
    }
)
"""Settings whose value is a list of names, each quoted by itself; of all others the catalog has the value as it is.

pg_dump has to know them too: variable_is_guc_list_quote in
https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/dumputils.c
"""

_NAME = re.compile(r'"((?:[^"]|"")*)"|([^,\s"]+)')


def preset(database: str, role: str, name: str, value: str) -> sql.Composed:
    """The statement that presets a setting in a database, for a role ("": for everybody).

    value: as pg_db_role_setting has it.
    """
    whom = sql.SQL("database {}").format(sql.Identifier(database))
    if role:
        whom = sql.SQL("role {} in ").format(sql.Identifier(role)) + whom
    # A setting of an extension has a dot in its name, which separates two identifiers.
    return sql.SQL("alter {} set {} to {}").format(whom, sql.Identifier(*name.split(".", 1)), _value(name, value))


def _value(name: str, value: str) -> sql.Composable:
    if name not in _LISTS:
        return sql.Literal(value)
    found = [quoted.replace('""', '"') if quoted else plain for quoted, plain in _NAME.findall(value)]
    return sql.SQL(", ").join(map(sql.Literal, found or [""]))
