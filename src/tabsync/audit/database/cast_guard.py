"""The event trigger that refuses casts to JSON: one of a table's owner would run as the owner of the log.

The functions of the triggers look for such a cast too, but a transaction of REPEATABLE READ that is older than the cast
does not see it, and PostgreSQL takes it all the same. Only a superuser can have an event trigger.
"""

from __future__ import annotations

from tabsync.audit.database.setup import DATABASE, Setup, rows
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "cast_guard.sql")
_REPAIR = "as a superuser: tabsync audit repair"
_RIGHT = {
    "enabled": "A",
    "event": "ddl_command_end",
    "tags": ["CREATE CAST"],
    "superuser": True,
    "function": "tabsync_audit.refuse_cast",
}


def install(connection: Connection, _setup: Setup) -> Facts:
    """Create it as it has to be; a role that is no superuser makes none."""
    if not is_superuser(connection):
        return {"created": False}
    with connection.transaction():
        for block in ("drop", "create", "always"):
            connection.execute(_SQL[block])
    return {"created": True}


def remove(connection: Connection) -> None:
    """Drop it. Raises InsufficientPrivilege where it is there and not ours."""
    if rows(connection, "there", of=_SQL):
        connection.execute(_SQL["drop"])


def wrong(connection: Connection) -> tuple[str, str]:
    """What is wrong with it, and what puts it right; "" for nothing.

    That there is none is told to a superuser only: nobody else could have made it.
    """
    found = rows(connection, "there", of=_SQL)
    if not found:
        return ("is missing", _REPAIR) if is_superuser(connection) else ("", "")
    if found[0]["off"]:
        return "is off, as all event triggers of this database", "alter database ... reset event_triggers"
    return ("", "") if {name: found[0][name] for name in _RIGHT} == _RIGHT else ("is not as it was created", _REPAIR)


def repairs(connection: Connection) -> bool:
    """Whether install() puts it right."""
    return is_superuser(connection) and wrong(connection)[1] == _REPAIR


def is_superuser(connection: Connection) -> bool:
    """Whether we are one."""
    return bool(rows(connection, "may", of=DATABASE)[0]["superuser"])
