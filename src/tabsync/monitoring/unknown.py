"""The three kinds of unknown, which are never mixed and never ok. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

import psycopg

from tabsync.kernel.errors import NotAllowed, Refused

Kind: TypeAlias = Literal["", "declare", "hidden", "failed"]
"""declare: the manual has to say something first. hidden: not visible here: privileges, version, pooler, standby, an
extension or a relation that isn't there. failed: an error, a limit of time, a lock, a lost connection. "": known."""

_HIDDEN = frozenset(
    {
        "0A000",  # feature_not_supported
        "25006",  # read_only_sql_transaction: on a standby
        "3F000",  # invalid_schema_name
        "42501",  # insufficient_privilege
        "42703",  # undefined_column: of another version
        "42704",  # undefined_object: a setting of another version
        "42883",  # undefined_function
        "42P01",  # undefined_table
        "55000",  # object_not_in_prerequisite_state: recovery is in progress, a library isn't preloaded
    }
)
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_MISSING, _POOLER = "does not exist here", "a pooler in transaction mode"


def kind_of(failure: Exception) -> Kind:
    """Which kind of unknown a metric is that failed so, or a connection that could not be opened."""
    if isinstance(failure, psycopg.Error):
        return "hidden" if failure.sqlstate in _HIDDEN else "failed"
    if isinstance(failure, NotAllowed):
        return "hidden"
    if isinstance(failure, Refused):
        _, _, told = failure.fact.partition(": ")
        missing = all(one.endswith(_MISSING) for one in told.split("; "))
        return "hidden" if missing or failure.fact.startswith(_POOLER) else "failed"
    return "failed"
