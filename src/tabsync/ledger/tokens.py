"""Tokens of operators, by which programs use the API in their name. One lives until it is removed."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, func, insert, select

from tabsync.kernel.clock import iso, now
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.open import Ledger
from tabsync.ledger.operators import Operator, one_operator
from tabsync.ledger.tables import operator, token


def add_token(ledger: Ledger, name: str, *, by: str) -> str:
    """Make a token for an operator; it is shown once, and only its SHA-256 is kept. by: who does it, for the audit.

    Raises BadUsage when there is no such operator.
    """
    who, made = one_operator(ledger, name), f"tabsync_{secrets.token_urlsafe(32)}"
    row = {"token_hash": _digest(made), "operator_id": who.id, "created_at": iso(now())}
    with ledger.writing() as connection:
        connection.execute(insert(token), [row])
    add_audit(ledger, by, "operator token: add", name, {})
    return made


def remove_tokens(ledger: Ledger, name: str, *, by: str) -> int:
    """Remove all tokens of an operator; returns how many there were. Raises BadUsage when there is no such operator."""
    who = one_operator(ledger, name)
    with ledger.writing() as connection:
        counted = connection.execute(select(func.count()).where(token.c.operator_id == who.id)).scalar() or 0
        connection.execute(delete(token).where(token.c.operator_id == who.id))
    add_audit(ledger, by, "operator token: remove", name, {"tokens": counted})
    return int(counted)


def operator_of(ledger: Ledger, sent: str) -> Operator | None:
    """Whose token that is, or None."""
    columns = (operator.c.id, operator.c.name, operator.c.role, operator.c.created_at)
    query = (
        select(*columns).join(token, token.c.operator_id == operator.c.id).where(token.c.token_hash == _digest(sent))
    )
    with ledger.engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return Operator(*row) if row else None


def _digest(sent: str) -> str:
    return hashlib.sha256(sent.encode(errors="surrogateescape")).hexdigest()
