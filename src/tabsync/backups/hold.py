"""tabsync backup hold, release: a backup that is held is pruned by nobody, however old it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tabsync.backups.retention.lease import refuse_while_pruned
from tabsync.kernel import clock
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_AT_MOST = 600.0  # seconds that a store may take for one small file
_KIND = "holds"


def holds(store: Store) -> dict[str, str]:
    """The backups that are held, and why; a hold that can't be read holds all the same."""
    return {backup: _reason(content) for backup, content in store.markers(_KIND).items()}


def plan_hold(workspace: Workspace, backup: str, reason: str = "") -> Plan:
    """Plan to hold a backup (an id, or "latest"). Raises BadUsage when there is none, Refused when it is held."""
    store = workspace.store()
    manifest = store.find(backup)
    held = holds(store)
    if manifest.id in held:
        because = f": {held[manifest.id]}" if held[manifest.id] else ""
        raise Refused(f"backup {manifest.id} is already held{because}", f"tabsync backup release {manifest.id}")
    step = Step(
        "hold",
        f"Hold {manifest.id}",
        call(hold, backup=manifest.id, reason=reason),
        preview=f"create {store.url}/{_KIND}/{manifest.id}.json",
        risk=Risk.REVERSIBLE,
        undo=f"tabsync backup release {manifest.id}",
        deadline=_AT_MOST,
    )
    return Plan("backup hold", f"Hold backup {manifest.id}", (step,), manifest.source)


def plan_release(workspace: Workspace, backup: str) -> Plan:
    """Plan to let go of a held backup (an id). Raises Refused when it isn't held."""
    store = workspace.store()
    if backup not in holds(store):
        raise Refused(f"backup {backup} is not held", "to see which backups are held: tabsync backup list")
    step = Step(
        "release",
        f"Release {backup}",
        call(release, backup=backup),
        preview=f"delete {store.url}/{_KIND}/{backup}.json",
        risk=Risk.REVERSIBLE,
        undo=f"tabsync backup hold {backup}",
        deadline=_AT_MOST,
    )
    return Plan("backup release", f"Release backup {backup}", (step,), {"store": store.url})


def hold(context: Context, *, backup: str, reason: str) -> Facts:
    """Hold a backup.

    The hold is put before we look for a prune at work, and a prune takes its lease before it looks for holds: so it
    sees this hold, or we see its lease and stand back. Raises Refused then, or when the backup is gone.
    """
    store = context.workspace.store()
    at = iso(clock.now())
    if not store.put_marker(_KIND, backup, json.dumps({"backup": backup, "reason": reason, "at": at}).encode()):
        raise Refused(f"backup {backup} is already held", f"tabsync backup release {backup}")
    try:
        refuse_while_pruned(store)
        store.manifest(backup)
    except BaseException:
        store.delete_marker(_KIND, backup)
        raise
    return {"backup": backup, "reason": reason, "at": at}


def release(context: Context, *, backup: str) -> Facts:
    """Let go of a held backup: from now on its class decides."""
    return {"backup": backup, "released": context.workspace.store().delete_marker(_KIND, backup)}


def _reason(content: bytes) -> str:
    try:
        return str(json.loads(content)["reason"])
    except (ValueError, KeyError, TypeError):
        return ""
