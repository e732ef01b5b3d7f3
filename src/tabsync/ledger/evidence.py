"""Evidence: what was proven, when, of which database. Chapters tell each other what happened through it."""

from __future__ import annotations

from tabsync.kernel.clock import iso, now
from tabsync.kernel.step import Facts
from tabsync.ledger import entries
from tabsync.ledger.open import Ledger

NO_DATABASE = ""
"""The subject of evidence of something that is no database's, as the ledger's own copy."""


def add_evidence(
    ledger: Ledger, kind: str, subject: str, *, ok: bool, facts: Facts, run_id: str | None = None, at: str = ""
) -> None:
    """Record one piece of evidence. kind: "backup" or "drill"; subject: see stores.manifest.subject_of; at: when it was
    proven, ISO, where that wasn't now."""
    row = {"at": at or iso(now()), "kind": kind, "subject": subject, "ok": ok, "facts": facts, "run_id": run_id}
    ledger.write(run_id or "", entries.said("evidence", row))


def latest_evidence(ledger: Ledger, kind: str, subject: str | None = None, *, ok: bool | None = None) -> Facts | None:
    """The newest evidence of a kind, or None: absence is a fact too."""
    found = evidence_since(ledger, kind, subject, ok=ok, limit=1)
    return found[0] if found else None


def evidence_since(
    ledger: Ledger, kind: str, subject: str | None = None, *, ok: bool | None = None, limit: int = 50
) -> list[Facts]:
    """Evidence of a kind, newest first; ok: only good (True) or bad (False)."""
    return ledger.read("evidence", kind=kind, subject=subject, ok=ok, limit=limit)


def add_audit(ledger: Ledger, actor: str, action: str, target: str, detail: Facts) -> None:
    """Record who did something that is not a run: a login, an operator made."""
    row = {"at": iso(now()), "actor": actor, "action": action, "target": target, "detail": detail}
    ledger.write("", entries.said("audit", row))


def recent_audit(ledger: Ledger, limit: int = 100) -> list[Facts]:
    """The newest entries of the audit first."""
    return ledger.read("audit", limit=limit)
