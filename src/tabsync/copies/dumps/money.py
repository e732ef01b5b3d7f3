"""Amounts of money in a dump: their text depends on lc_monetary, which no dump says.

A server writes '1.234,56 €' where another one writes '$1,234.56', and reads no other's. pg_dump writes as the database
does, so whatever reads a dump has to be told: from what the manifest notes, or else from the database's own settings,
which stand in the dump and come back last (properties.py).
https://www.postgresql.org/docs/current/datatype-money.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import psycopg

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection
from tabsync.postgres.toc import Entry

_SETTING = "lc_monetary"
_MONEY = re.compile(r"(?<![\w:.\"])money\b")
_PRESET = re.compile(r"^ALTER DATABASE .* SET lc_monetary TO '((?:[^']|'')*)';", re.MULTILINE)
_PLAIN = re.compile(r"C|POSIX|(?:C|en_US)[._].*|en_US")
"""Locales that write an amount as C does: '$1,234.56'."""


def reading(database: Mapping[str, object], entries: Sequence[Entry]) -> dict[str, str]:
    """The settings under which a dump's amounts of money are read; none where there are no such.

    database: what the manifest notes of the database, {} for a foreign dump.
    """
    if not holding(entries):
        return {}
    found = [
        one for entry in entries if entry.kind == "DATABASE PROPERTIES" for one in _PRESET.findall(entry.definition)
    ]
    locale = str(database.get("monetary") or (found[-1].replace("''", "'") if found else ""))
    return {_SETTING: locale} if locale and not _PLAIN.fullmatch(locale) else {}


def holding(entries: Sequence[Entry]) -> list[Entry]:
    """The tables and types with columns of money."""
    return [one for one in entries if one.kind in ("TABLE", "TYPE", "DOMAIN") and _MONEY.search(one.definition)]


def is_known(connection: Connection, settings: Mapping[str, str]) -> bool:
    """Whether a server has the locale."""
    try:
        with connection.transaction():
            for name, value in settings.items():
                connection.execute("select pg_catalog.set_config(%s, %s, true)", [name, value])
    except psycopg.errors.InvalidParameterValue:
        return False
    return True


def check_known(connection: Connection, database: Facts, entries: Sequence[Entry]) -> None:
    """Refuse where a server can't read a dump's amounts. Raises Refused naming the locale."""
    settings = reading(database, entries)
    if not is_known(connection, settings):
        raise Refused(
            f"this server lacks the locale {settings[_SETTING]}, in which the backup's amounts of money are written",
            "install the locale on the server",
        )
