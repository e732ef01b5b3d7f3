"""Takes the emergency journal into the ledger once that can be written again."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso, now
from tabsync.ledger import chain, entries
from tabsync.ledger.open import Ledger
from tabsync.system.claims import claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabsync.ledger.emergency import Kept

_ACTION = "emergency journal: taken into the ledger"


def merge(ledger: Ledger) -> list[str]:
    """Write into the ledger what the journal has of runs that nobody carries out just now; gives their ids.

    Raises NotRecorded when the ledger can't be written even now.
    """
    done = []
    for run_id in ledger.emergency.runs():
        with _ours(ledger, run_id) as ours:
            if ours and _merge(ledger, run_id):
                done.append(run_id)
    return done


def told(merged: Sequence[str]) -> str:
    """What was taken into the ledger, in words."""
    many = f"{len(merged)} runs" if len(merged) > 1 else "a run"
    return f"the ledger can be written again: it has taken in {many} of the emergency journal"


@contextmanager
def _ours(ledger: Ledger, run_id: str) -> Iterator[bool]:
    """Keep everybody else from carrying the run out meanwhile; False when somebody does."""
    if ledger.emergency.is_loose(run_id):
        yield True
        return
    place = ledger.claims / run_id
    was_there = place.exists()
    held = claim(place)
    try:
        yield held is not None
    finally:
        if held is not None and was_there:
            held.release()
        elif held is not None:
            held.remove()


def _merge(ledger: Ledger, run_id: str) -> bool:
    """Take one run, and delete its files; False when there was nothing new in them.

    Nobody adds a line meanwhile: who wanted to sees afterwards that the file is gone, and writes to the ledger.
    """
    seen = ledger.emergency.runs().get(run_id)
    with suppress(FileNotFoundError), chain.held(seen.files if seen else ()):
        if kept := ledger.emergency.runs().get(run_id):  # else somebody has just taken it
            taken = _write(ledger, kept)
            if not kept.broken:  # a file that somebody changed is kept, and the status says so until it is gone
                ledger.emergency.forget(kept)
            return taken
    return False


def _write(ledger: Ledger, kept: Kept) -> bool:
    """Write what is not there yet, in one transaction: who has taken it may have died before it deleted the files."""
    from sqlalchemy import select

    from tabsync.ledger.tables import audit, run

    with ledger.writing() as connection:
        rows = connection.execute(
            select(audit.c.detail).where(audit.c.action == _ACTION, audit.c.run_id == kept.run_id)
        )
        known = {row.detail.get("last") for row in rows}
        taken = max((at for at, one in enumerate(kept.hashes, start=1) if one in known), default=0)
        fresh = kept.entries[taken:]
        if not fresh:
            return False
        missing = not taken and kept.after not in {chain.START, *known}
        broken = kept.broken or ("what was before it is missing" if missing else "")
        begun = connection.execute(select(run.c.id).where(run.c.id == kept.run_id)).first() is not None
        for entry in fresh:
            if entry["do"] != "begin" or not begun:
                entries.write(connection, entry)
        detail = {"last": kept.last, "entries": len(fresh), "broken": broken or None}
        row = {"at": iso(now()), "actor": "tabsync", "action": _ACTION, "target": "", "run_id": kept.run_id}
        entries.write(connection, entries.said("audit", row | {"detail": detail}))
    return True
