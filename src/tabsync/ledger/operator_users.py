"""Who an operator is among the users of a database, so that the one may act as the other."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from tabsync.kernel.clock import iso, now
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.open import Ledger
from tabsync.ledger.operators import one_operator
from tabsync.ledger.tables import operator, operator_user


def map_user(ledger: Ledger, name: str, subject: str, key: str, *, by: str) -> None:
    """Say who an operator is. subject: the database; key: the user's, "" for nobody; by: who does it, for the audit.

    Raises BadUsage when there is no such operator.
    """
    who = one_operator(ledger, name)
    mine = (operator_user.c.operator_id == who.id) & (operator_user.c.subject == subject)
    with ledger.writing() as connection:
        connection.execute(delete(operator_user).where(mine))
        if key:
            row = {"operator_id": who.id, "subject": subject, "user_key": key, "created_at": iso(now())}
            connection.execute(insert(operator_user), [row])
    add_audit(ledger, by, "operator map", who.name, {"subject": subject, "user": key or None})


def user_of(ledger: Ledger, operator_id: int, subject: str) -> str:
    """The key of the user that an operator is, "" for nobody."""
    mine = (operator_user.c.operator_id == operator_id) & (operator_user.c.subject == subject)
    with ledger.engine.connect() as connection:
        return str(connection.execute(select(operator_user.c.user_key).where(mine)).scalar() or "")


def mapped(ledger: Ledger) -> dict[str, list[str]]:
    """The users that operators are, by the operator's name."""
    query = select(operator.c.name, operator_user.c.subject, operator_user.c.user_key).join(
        operator_user, operator_user.c.operator_id == operator.c.id
    )
    found: dict[str, list[str]] = {}
    with ledger.engine.connect() as connection:
        for name, subject, key in connection.execute(query):
            found.setdefault(name, []).append(f"{key} in {subject.rpartition('/')[2]}")
    return found
