"""The clusters that were restored here: where they are, whether they run, and how they end.

Each has an entry in home/restored, written before its directory is. As long as the entry says "making" and nobody
holds the directory, a process died over it: the next command takes both away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres import embedded
from tabsync.postgres.conninfo import without_defences
from tabsync.system.claims import claim

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


def entry_path(workspace: Workspace, name: str) -> Path:
    """Where a restored cluster is noted."""
    return workspace.home / "restored" / f"{name}.json"


def write_entry(workspace: Workspace, name: str, **facts: object) -> None:
    """Note a restored cluster, in one step."""
    path = entry_path(workspace, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pending = path.with_suffix(".new")
    pending.write_text(json.dumps(facts))
    pending.replace(path)


def entries(workspace: Workspace) -> Iterator[tuple[str, Facts]]:
    """Every restored cluster and what is noted of it."""
    for path in sorted((workspace.home / "restored").glob("*.json")):
        yield path.stem, json.loads(path.read_text())


def restored(workspace: Workspace) -> list[Facts]:
    """The clusters that were restored: name, directory, target, conninfo, and whether each runs."""
    found = []
    for name, facts in entries(workspace):
        if facts["state"] == "making":
            continue
        directory = Path(facts["directory"])
        running = embedded.postmaster(directory) is not None
        conninfo = own_conninfo(directory, facts["superuser"], facts["database"]) if running else ""
        found.append(facts | {"name": name, "running": running, "conninfo": without_defences(conninfo) or None})
    return found


def own_conninfo(directory: Path, superuser: str, database: str) -> str:
    """A connection string to a restored cluster for the account that restored it; it needs no password."""
    parts = conninfo_to_dict(embedded.opened(directory).conninfo(database))
    del parts["passfile"]
    return make_conninfo("", **(parts | {"user": superuser}))


def sweep_restored(workspace: Workspace) -> list[str]:
    """Take away what processes that died left half-restored; returns the names."""
    swept = []
    for name, facts in list(entries(workspace)):
        directory = Path(facts["directory"])
        if facts["state"] != "making":
            continue
        held = claim(directory) if directory.exists() else None
        if directory.exists() and held is None:
            continue  # somebody is at it
        if held is not None:
            embedded.end_server(directory)
            held.remove()
        entry_path(workspace, name).unlink(missing_ok=True)
        swept.append(name)
    return swept


def plan_drop(workspace: Workspace, name: str) -> Plan:
    """Plan to end a restored cluster. Raises BadUsage when there is none of that name."""
    facts = next((one for one in restored(workspace) if one["name"] == name), None)
    if facts is None:
        raise BadUsage(f"there is no restored cluster {name}", "to list them: tabsync restore clusters")
    step = Step(
        "drop",
        f"Stop the restored cluster {name} and delete it",
        call(drop, name=name),
        preview=f"rm -r {facts['directory']}",
        risk=Risk.DESTRUCTIVE,
        undo=f"no undo; to restore it again: tabsync restore to-time to {facts['target']}",
    )
    target = {"database": facts["database"], "directory": facts["directory"]}
    return Plan("restore drop", f"Drop the restored cluster {name}", (step,), target, confirm=name)


def drop(context: Context, *, name: str) -> Facts:
    """Stop the server and delete its directory; the entry goes last."""
    workspace = context.workspace
    _name, facts = next(one for one in entries(workspace) if one[0] == name)
    directory = Path(facts["directory"])
    held = claim(directory) if directory.exists() else None
    if directory.exists() and held is None:
        raise Refused(f"another process is using {directory}", "wait until it ends")
    if held is not None:
        embedded.end_server(directory)
        held.remove()
    entry_path(workspace, name).unlink()
    return {"name": name, "directory": str(directory)}
