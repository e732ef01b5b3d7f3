"""What others keep of the database: the provider's snapshots and window, pgBackRest's backups. Read only.

What can't be seen is told as unknown, with the reason; it is never an empty list.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.providers import pgbackrest, supabase
from tabsync.providers.supabase import Protection

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

PROVIDERS = ("supabase",)

_ATTEMPTS = 2
"""Of each request when somebody waits for a list."""


def project_of(workspace: Workspace) -> str | None:
    """The reference of the Supabase project that is looked after: from tabsync.toml, else from the host's name.

    None when the database isn't Supabase's. Raises BadUsage when tabsync.toml names a provider that isn't known.
    """
    if workspace.provider and workspace.provider not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise BadUsage(
            f"provider {workspace.provider!r} is unknown", f"tabsync knows: {known}; for any other remove the setting"
        )
    found = workspace.project or supabase.project_of(workspace.conninfo)
    if workspace.provider and not found:
        raise BadUsage(
            "tabsync.toml names a provider but no project", 'add the line: project = "reference of the project"'
        )
    return found


def provider_state(workspace: Workspace) -> Facts | None:
    """What the provider keeps of the database; None when nobody runs it for us, by all that we can see.

    Has provider, project, problem ("" or why nothing could be seen), and, when it could be: region, pitr,
    snapshots [{"id", "at", "physical", "status"}], window {"earliest", "latest"} or None.
    """
    try:
        project = project_of(workspace)
        if project is None:
            return None
        kept = supabase.open_project(project, _ATTEMPTS).protection()
    except TabsyncError as error:
        named = workspace.project or supabase.project_of(workspace.conninfo)
        return {"provider": "Supabase", "project": named, "problem": error.fact, "hint": error.hint}
    snapshots = [asdict(one) | {"at": iso(one.at)} for one in kept.snapshots]
    facts: Facts = {"provider": "Supabase", "project": project, "problem": "", "region": kept.region}
    return facts | {"pitr": kept.pitr, "snapshots": snapshots, "window": window_of(kept)}


def window_of(kept: Protection) -> Facts | None:
    """The moments that can be restored to, as JSON."""
    if not kept.pitr or kept.earliest is None or kept.latest is None:
        return None
    return {"earliest": iso(kept.earliest), "latest": iso(kept.latest)}


def pgbackrest_state(system_identifier: str | None = None) -> Facts | None:
    """What pgBackRest on this machine keeps; None when it isn't there. system_identifier: only of that cluster.

    Has problem ("" or why nothing could be seen) and stanzas [{"name", "status", "wal", "backups": [...]}].
    """
    try:
        found = pgbackrest.stanzas()
    except TabsyncError as error:
        return {"problem": error.fact, "hint": error.hint, "stanzas": []}
    if found is None:
        return None
    mine = [one for one in found if system_identifier is None or system_identifier in one.system_identifiers]
    rows = [
        {
            "name": one.name,
            "status": one.status,
            "wal": {"first": one.wal[0], "last": one.wal[1]} if one.wal else None,
            "backups": [asdict(backup) | {"at": iso(backup.at)} for backup in one.backups],
        }
        for one in mine
    ]
    return {"problem": "", "stanzas": rows}
