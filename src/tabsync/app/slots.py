"""What the database says before an application is restarted: whether there is room for its new connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.errors import CannotConnect, TabsyncError
from tabsync.postgres.connect import connect
from tabsync.postgres.queries import named
from tabsync.postgres.refusal import may_be_full
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "slots.sql")
_LIMITS = Limits(statement_timeout=2_000)
_FULL = 0.8
_FIRST = "a restart opens more for a moment: end sessions first, with: tabsync connections terminate --idle-for 5min"


def notes_on_room(workspace: Workspace) -> tuple[str, ...]:
    """What a person has to know about the connections before a restart; nothing where there is room."""
    try:
        with workspace.connect("app", _LIMITS) as connection:
            row = connection.execute(_SQL["slots"]).fetchone()
    except CannotConnect as error:
        if may_be_full(error):
            return (f"perhaps all connections are in use ({error.fact}); {_FIRST}",)
        return (f"how many connections are in use is unknown: {error.fact}",)
    except TabsyncError as error:
        return (f"how many connections are in use is unknown: {error.fact}",)
    slots, used = row if row else (0, 0)
    return (f"{used} of {slots} connections are in use; {_FIRST}",) if used >= _FULL * slots else ()


def notes_on_database(conninfo: str) -> tuple[str, ...]:
    """What is known of the database that an application is given: whether it answers, and takes what is written."""
    try:
        with connect(conninfo, "app", limits=_LIMITS) as connection:
            row = connection.execute(_SQL["place"]).fetchone()
    except TabsyncError as error:
        return (f"the new database does not answer from this machine: {error.fact}",)
    database, standby, version = row if row else ("unknown", False, "unknown")
    found = f"the new database answers: {database}, PostgreSQL {version}"
    return (found, "it is a standby: the application could not write into it") if standby else (found,)
