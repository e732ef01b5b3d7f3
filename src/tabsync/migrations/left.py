"""What an undo has left, which may not show any more: changed rows, dropped things, what a DO block may have done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since
from tabsync.ledger.open import Ledger
from tabsync.stores.manifest import subject_of

_KIND = "migration undo"


def note_left(ledger: Ledger, target: Facts, name: str, lines: Sequence[int], run_id: str) -> None:
    """Record of which lines of a migration something may be left."""
    facts = {"migration": name, "lines": list(lines)}
    add_evidence(ledger, _KIND, subject_of(target), ok=not lines, facts=facts, run_id=run_id)


def noted_left(ledger: Ledger, target: Facts, name: str, since: str) -> str:
    """What is left by an undo of a migration, in words. since: when it was started, "" where that is not known."""
    for one in evidence_since(ledger, _KIND, subject_of(target)):
        if one["facts"]["migration"] == name and not _before(one["at"], since):
            lines = ", ".join(map(str, one["facts"]["lines"]))
            return f"the undo of run {one['run_id']} left what line {lines} may have done" if lines else ""
    return ""


def _before(at: str, since: str) -> bool:
    """Whether an undo was of an earlier try."""
    try:
        return datetime.fromisoformat(at) < datetime.fromisoformat(since)
    except (ValueError, TypeError):
        return False
