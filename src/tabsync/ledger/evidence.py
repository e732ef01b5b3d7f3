"""Evidence: what was proven, when, of which database. Chapters tell each other what happened through it."""

from __future__ import annotations

from sqlalchemy import insert, select

from tabsync.kernel.clock import iso, now
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import audit, evidence


def add_evidence(ledger: Ledger, kind: str, subject: str, *, ok: bool, facts: Facts, run_id: str | None = None) -> None:
    """Record one piece of evidence. kind: "backup" or "drill"; subject: see stores.manifest.subject_of."""
    row = {"at": iso(now()), "kind": kind, "subject": subject, "ok": ok, "facts": facts, "run_id": run_id}
    with ledger.engine.begin() as connection:
        connection.execute(insert(evidence), [row])


def latest_evidence(ledger: Ledger, kind: str, subject: str | None = None, *, ok: bool | None = None) -> Facts | None:
    """The newest evidence of a kind, or None: absence is a fact too."""
    found = evidence_since(ledger, kind, subject, ok=ok, limit=1)
    return found[0] if found else None


def evidence_since(
    ledger: Ledger, kind: str, subject: str | None = None, *, ok: bool | None = None, limit: int = 50
) -> list[Facts]:
    """Evidence of a kind, newest first; ok: only good (True) or bad (False)."""
    query = select(evidence).where(evidence.c.kind == kind).order_by(evidence.c.at.desc()).limit(limit)
    if subject is not None:
        query = query.where(evidence.c.subject == subject)
    if ok is not None:
        query = query.where(evidence.c.ok == ok)
    with ledger.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def add_audit(ledger: Ledger, actor: str, action: str, target: str, detail: Facts) -> None:
    """Record who did something that is not a run: a login, an operator made."""
    row = {"at": iso(now()), "actor": actor, "action": action, "target": target, "detail": detail}
    with ledger.engine.begin() as connection:
        connection.execute(insert(audit), [row])


def recent_audit(ledger: Ledger, limit: int = 100) -> list[Facts]:
    """The newest entries of the audit first."""
    with ledger.engine.connect() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]
