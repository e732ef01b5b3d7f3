"""tabsync backup list: the backups of a store, and what the ledger knows of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.clock import now
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import evidence_since

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def list_backups(workspace: Workspace) -> tuple[list[Facts], list[str]]:
    """Every readable backup, oldest first, and what is wrong with the others.

    Each has id, taken_at, age_seconds, kind, reason, database, tables, bytes and proven: True or False by its newest
    drill, None when no drill of it is known.
    """
    manifests, damaged = workspace.store().manifests()
    proven: dict[str, bool] = {}
    for one in evidence_since(workspace.ledger(), "drill", limit=1000):  # newest first: the first one counts
        proven.setdefault(one["facts"]["backup"], one["facts"]["content"] == "identical")
    moment = now()
    rows = [
        {
            "id": one.id,
            "taken_at": one.snapshot["time"],
            "age_seconds": (moment - one.taken_at).total_seconds(),
            "kind": one.kind,
            "reason": one.reason,
            "database": one.source["database"],
            "tables": len(one.tables),
            "bytes": one.stored_bytes,
            "proven": proven.get(one.id),
        }
        for one in manifests
    ]
    return rows, damaged
