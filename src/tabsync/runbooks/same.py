"""On which database a run was begun, so that nobody goes on with it on another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.errors import Refused, TabsyncError
from tabsync.sessions.way_in import here, way_in

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

_KNOWN_BY = ("system_identifier", "database", "database_oid")


def database_of(workspace: Workspace) -> Facts:
    """Which database is looked after: its name, and as far as it answers its OID and that of its cluster."""
    found: Facts = dict.fromkeys(_KNOWN_BY)
    found["database"] = str(conninfo_to_dict(workspace.conninfo).get("dbname") or workspace.name)
    try:
        with way_in(workspace, "runbook") as way:
            row = here(way)
    except TabsyncError:
        return found
    return {name: row[name] for name in _KNOWN_BY}


def check_same(workspace: Workspace, run: Facts) -> None:
    """Raise Refused when a run was begun on another database. What is unknown then or now says nothing."""
    found, begun = database_of(workspace), run["target"]
    for name in _KNOWN_BY:
        if None not in (found[name], begun.get(name)) and found[name] != begun[name]:
            what = "" if name == "database" else f", but not the one of {run['started_at'][:19]}"
            raise Refused(
                f"the run {run['id']} was begun on {begun['database']}; this is {found['database']}{what}",
                f'to do it here: tabsync runbook run "{run["title"]}" --from STEP',
            )
