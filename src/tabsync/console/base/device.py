"""The mark of a browser that an operator has logged in with: it lets nobody in, and goes past a stranger's failures.

It is "nonce.signature", signed with what the ledger keeps of the password, which nobody outside knows: so it is stored
nowhere, and a new password ends it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import select

from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import operator


def new_mark(ledger: Ledger, name: str) -> str:
    """A mark for a browser that this operator has just logged in with; "" when there is no such operator."""
    nonce = secrets.token_urlsafe(16)
    signature = _signature(ledger, name, nonce)
    return f"{nonce}.{signature}" if signature else ""


def checked_mark(ledger: Ledger, name: str, mark: str) -> str:
    """What tells this browser from others, "" when the mark isn't one of this operator's."""
    nonce, _, signature = mark.partition(".")
    expected = _signature(ledger, name, nonce)
    right = bool(expected) and hmac.compare_digest(signature.encode(), expected.encode())
    return nonce if right else ""


def _signature(ledger: Ledger, name: str, nonce: str) -> str:
    name = name.strip().lower()
    with ledger.engine.connect() as connection:
        known = connection.execute(select(operator.c.password_hash).where(operator.c.name == name)).scalar()
    if not known:
        return ""
    return hmac.new(str(known).encode(), f"device {name} {nonce}".encode(), hashlib.sha256).hexdigest()
