"""Takes the emergency journal into the ledger once that can be written again."""

from __future__ import annotations

from tabsync.kernel.clock import iso, now
from tabsync.ledger import entries
from tabsync.ledger.emergency import Kept
from tabsync.ledger.open import Ledger
from tabsync.system.claims import is_claimed

_ACTION = "emergency journal: taken into the ledger"


def merge(ledger: Ledger) -> list[str]:
    """Write into the ledger what the journal has of runs that have ended; gives their ids.

    A run whose process lives still writes there. Raises NotRecorded when the ledger can't be written even now.
    """
    done = []
    for kept in ledger.emergency.runs().values():
        if not is_claimed(ledger.claims / kept.run_id):
            if _merge(ledger, kept):
                done.append(kept.run_id)
            if not kept.broken:  # a file that somebody changed is kept, and the status says so until it is gone
                ledger.emergency.forget(kept)
    return done


def _merge(ledger: Ledger, kept: Kept) -> bool:
    """One run, in one transaction; False when a process that was killed before it deleted the files has done it."""
    from sqlalchemy import select

    from tabsync.ledger.tables import audit, run

    with ledger.writing() as connection:
        known = connection.execute(
            select(audit.c.detail).where(audit.c.action == _ACTION, audit.c.run_id == kept.run_id)
        )
        if any(row.detail.get("last") == kept.last for row in known):
            return False
        begun = connection.execute(select(run.c.id).where(run.c.id == kept.run_id)).first() is not None
        for entry in kept.entries:
            if entry["do"] != "begin" or not begun:
                entries.write(connection, entry)
        detail = {"last": kept.last, "entries": len(kept.entries), "broken": kept.broken or None}
        row = {"at": iso(now()), "actor": "tabsync", "action": _ACTION, "target": "", "run_id": kept.run_id}
        entries.write(connection, entries.said("audit", row | {"detail": detail}))
    return True
