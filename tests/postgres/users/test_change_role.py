"""The guarded change of a role: who may, who may not, and what is written down."""

from __future__ import annotations

from itertools import product

import psycopg

from tests.postgres.users.people import MANUAL, PEOPLE, ROLES, change, entries, key, role


def test_the_role_and_its_entry_are_written_together(session: psycopg.Connection) -> None:
    assert change(session, "waiter", "KITCHEN", "owner", reason="cooks better") == {
        "key": key(session, "waiter"),
        "old": "WAITER",
        "new": "KITCHEN",
    }
    assert role(session, "waiter") == "KITCHEN"
    who = key(session, "owner")
    written = [(key(session, "waiter"), {"role": "WAITER"}, {"role": "KITCHEN"}, who, "password", "cooks better")]
    assert [one[:6] for one in entries(session)] == written
    both = (
        "select count(distinct xid), count(*) from audit_logs where entity_id = %s and origin is not null and action in"
    )
    assert session.execute(both.encode() + b" ('ROLE_CHANGE', 'UPDATE')", (key(session, "waiter"),)).fetchone() == (
        1,
        2,
    )


def allowed(actor: str, target: str, to: str) -> bool:
    """By the manual alone."""
    above, rank, old = MANUAL.hierarchy.above, PEOPLE[actor], PEOPLE[target]
    if actor == target or old == to:
        return False
    if rank == "SUPER_ADMIN":
        return old in ROLES
    same = actor.endswith("2") == target.endswith("2") and target not in ("customer", "consultant")
    return above(rank, old) and above(rank, to) and same


def test_each_pair_of_roles_is_as_the_manual_says(session: psycopg.Connection) -> None:
    wrong = []
    for actor, target, to in product(PEOPLE, PEOPLE, ROLES):
        try:
            with session.transaction(force_rollback=True):
                change(session, target, to, actor)
                done = True
        except psycopg.Error as error:
            assert error.sqlstate == "TS001", error
            done = False
        if done is not allowed(actor, target, to):
            wrong.append((actor, target, to, done))
    assert wrong == []
    assert sum(allowed(*one) for one in product(PEOPLE, PEOPLE, ROLES)) > 40
    assert entries(session) == []
