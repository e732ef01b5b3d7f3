"""The second factor of operators: a code of six digits that changes every 30 seconds, or a recovery code, each once.

https://www.rfc-editor.org/rfc/rfc6238#section-5.2
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.open import Ledger
from tabsync.ledger.operators import one_operator
from tabsync.ledger.tables import operator, recovery_code, second_factor, session

SECONDS = 30
CODES = 10
"""Recovery codes, of 80 bits each."""

_ISSUER = "TabSync"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 signs without l, o, 0 and 1


@dataclass(frozen=True, slots=True)
class Factor:
    """What an authenticator app is given. uri: as it reads it."""

    secret: str
    uri: str


def begin(ledger: Ledger, name: str, *, by: str) -> Factor:
    """Make a secret for an operator; it is asked for at the login once a code of it was seen. by: for the audit.

    Raises BadUsage when there is none of that name, or has one already.
    """
    import pyotp

    who = one_operator(ledger, name)
    if has_factor(ledger, who.id):
        raise BadUsage(f"{who.name} has a second factor already", f"tabsync operator totp {who.name} --reset")
    secret = pyotp.random_base32()
    row = {"operator_id": who.id, "secret": secret, "last_step": 0, "created_at": iso(now())}
    with ledger.writing() as connection:
        connection.execute(delete(second_factor).where(second_factor.c.operator_id == who.id))
        connection.execute(insert(second_factor), [row])
    add_audit(ledger, by, "operator totp: begin", who.name, {})
    return Factor(secret, pyotp.TOTP(secret).provisioning_uri(name=who.name, issuer_name=_ISSUER))


def confirm(ledger: Ledger, name: str, code: str, *, by: str, at: datetime | None = None) -> list[str]:
    """See a code of the new secret: from now on one is asked for. Ends the sessions, and gives the recovery codes.

    They are shown once, and only their SHA-256 is kept. Raises BadUsage when it isn't right, or none was begun.
    """
    who = one_operator(ledger, name)
    step = _step_of(_secret(ledger, who.id, confirmed=False), code, at or now())
    if step is None:
        raise BadUsage(
            "this is not a code of the secret that was shown",
            f"check the clock of this machine and of the app; to begin anew: tabsync operator totp {who.name}",
        )
    made = ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)) for _ in range(CODES)]
    rows = [{"operator_id": who.id, "code_hash": _digest(one)} for one in made]
    mine = second_factor.c.operator_id == who.id
    with ledger.writing() as connection:
        connection.execute(update(second_factor).where(mine).values(confirmed_at=iso(now()), last_step=step))
        connection.execute(delete(recovery_code).where(recovery_code.c.operator_id == who.id))
        connection.execute(insert(recovery_code), rows)
        connection.execute(delete(session).where(session.c.operator_id == who.id))
    add_audit(ledger, by, "operator totp: confirmed", who.name, {"recovery_codes": CODES})
    return made


def reset(ledger: Ledger, name: str, *, by: str) -> bool:
    """Take an operator's second factor away, and end the sessions; returns whether there was one."""
    who = one_operator(ledger, name)
    with ledger.writing() as connection:
        mine = second_factor.c.operator_id == who.id
        had = connection.execute(delete(second_factor).where(mine)).rowcount > 0
        connection.execute(delete(recovery_code).where(recovery_code.c.operator_id == who.id))
        connection.execute(delete(session).where(session.c.operator_id == who.id))
    add_audit(ledger, by, "operator totp: reset", who.name, {})
    return had


def has_factor(ledger: Ledger, operator_id: int) -> bool:
    """Whether an operator has to give a code."""
    return bool(_secret(ledger, operator_id, confirmed=True))


def with_factor(ledger: Ledger) -> set[str]:
    """The names of the operators who have to give one."""
    query = select(operator.c.name).join(second_factor, second_factor.c.operator_id == operator.c.id)
    with ledger.engine.connect() as connection:
        return set(connection.execute(query.where(second_factor.c.confirmed_at.is_not(None))).scalars())


def takes(ledger: Ledger, operator_id: int, code: str, *, at: datetime | None = None) -> bool:
    """Whether a code is right, or none is needed. One that is right is used up, also where two give it at once."""
    secret = _secret(ledger, operator_id, confirmed=True)
    if not secret:
        return True
    given = "".join(code.split()).lower()
    step = _step_of(secret, given, at or now())
    with ledger.writing() as connection:
        if step is not None:
            mine = (second_factor.c.operator_id == operator_id) & (second_factor.c.last_step < step)
            return connection.execute(update(second_factor).where(mine).values(last_step=step)).rowcount == 1
        one = (recovery_code.c.operator_id == operator_id) & (recovery_code.c.code_hash == _digest(given))
        return connection.execute(delete(recovery_code).where(one)).rowcount == 1


def codes_left(ledger: Ledger, operator_id: int) -> int:
    """How many recovery codes an operator has left."""
    with ledger.engine.connect() as connection:
        query = select(recovery_code.c.code_hash).where(recovery_code.c.operator_id == operator_id)
        return len(connection.execute(query).all())


def _secret(ledger: Ledger, operator_id: int, *, confirmed: bool) -> str:
    query = select(second_factor.c.secret).where(second_factor.c.operator_id == operator_id)
    there = second_factor.c.confirmed_at
    with ledger.engine.connect() as connection:
        found = connection.execute(query.where(there.is_not(None) if confirmed else there.is_(None))).scalar()
    return str(found or "")


def _step_of(secret: str, code: str, moment: datetime) -> int | None:
    """The step of time that a code is of: this one, or one beside it, as clocks differ."""
    import pyotp

    if not secret or not code.isascii() or not code.isdigit():
        return None
    current, found = int(moment.timestamp()) // SECONDS, None
    for step in (current - 1, current, current + 1):
        if hmac.compare_digest(pyotp.TOTP(secret).at(step * SECONDS), code):
            found = step
    return found


def _digest(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").encode(errors="surrogateescape")).hexdigest()
