"""Two who take each other's role at once: there is always somebody left who has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Barrier, Thread

import psycopg
import pytest

from tests.postgres.users.people import change, entries, key, role
from tests.whole import WHOLE

ROUNDS = 200 if WHOLE else 10
LEVELS = (
    psycopg.IsolationLevel.READ_COMMITTED,
    psycopg.IsolationLevel.REPEATABLE_READ,
    psycopg.IsolationLevel.SERIALIZABLE,
)


@pytest.fixture
def two(guarded: Callable[..., str]) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Two sessions."""
    conninfo = guarded()
    with ExitStack() as stack:
        yield tuple(stack.enter_context(psycopg.connect(conninfo, autocommit=True)) for _ in range(2))  # type: ignore[misc]


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_there_is_always_one_left(
    two: tuple[psycopg.Connection, psycopg.Connection], level: psycopg.IsolationLevel
) -> None:
    names, left = ("super", "super2"), []
    for session in two:
        session.isolation_level = level
    for _ in range(ROUNDS):
        two[0].execute("update users set role = 'SUPER_ADMIN' where full_name in ('super', 'super2')")
        ready, states = Barrier(2), []

        def take(mine: int) -> None:
            session, other = two[mine], names[1 - mine]
            with session.transaction():
                session.execute("select count(*) from users")  # the snapshot is from before the other one's change
                ready.wait(10)  # noqa: B023
                try:
                    change(session, other, "CONSULTANT", names[mine])
                    states.append("done")  # noqa: B023
                except psycopg.Error as error:
                    states.append(error.sqlstate or "")  # noqa: B023
                    raise psycopg.Rollback() from None

        threads = [Thread(target=take, args=(mine,)) for mine in (0, 1)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        left.append(sum(role(two[0], name) == "SUPER_ADMIN" for name in names))
        assert sorted(states) in (["TS001", "done"], ["40001", "done"]), states
    assert left == [1] * ROUNDS


def test_one_whose_account_is_disabled_does_not_count(session: psycopg.Connection) -> None:
    session.execute("update users set disabled_at = now() where full_name = 'super2'")
    for how in ("break-glass", "host"):
        with pytest.raises(psycopg.Error, match="the last SUPER_ADMIN"):
            change(session, "super", "CONSULTANT", "somebody", how)
    with pytest.raises(psycopg.Error, match="is disabled"):
        change(session, "waiter", "KITCHEN", "super2")


def test_what_is_rolled_back_leaves_nothing(session: psycopg.Connection) -> None:
    with session.transaction(force_rollback=True):
        change(session, "waiter", "KITCHEN", "owner")
    with session.transaction():
        with session.transaction(force_rollback=True):  # a savepoint
            change(session, "waiter", "KITCHEN", "owner")
        change(session, "kitchen", "WAITER", "owner")
    assert [one[0] for one in entries(session)] == [key(session, "kitchen")]
    assert (role(session, "waiter"), role(session, "kitchen")) == ("WAITER", "WAITER")


def test_a_prepared_transaction_writes_it_when_it_is_committed(session: psycopg.Connection) -> None:
    for end, count in (("rollback", 0), ("commit", 1)):
        session.execute("begin")
        change(session, "waiter", "KITCHEN", "owner")
        session.execute("prepare transaction 'one'")
        assert entries(session) == []
        session.execute(f"{end} prepared 'one'".encode())
        assert len(entries(session)) == count


def test_a_log_that_can_not_be_written_keeps_the_role(session: psycopg.Connection) -> None:
    session.execute("alter table audit_logs add constraint none check (action <> 'ROLE_CHANGE') not valid")
    with pytest.raises(psycopg.errors.CheckViolation):
        change(session, "waiter", "KITCHEN", "owner")
    assert role(session, "waiter") == "WAITER"


def test_a_reason_and_an_actor_are_needed(session: psycopg.Connection) -> None:
    for reason, by in (("", "owner"), (" \n", "owner"), ("why", "nobody"), ("why", "")):
        with pytest.raises(psycopg.Error):
            change(session, "waiter", "KITCHEN", by, reason=reason)
    with pytest.raises(psycopg.Error, match="has no role CHEF"):
        change(session, "waiter", "CHEF", "owner")
    with pytest.raises(psycopg.Error, match="has to be above ADMIN"):
        change(session, "admin", "WAITER", "super")
    assert change(session, "admin", "WAITER", "eva", "break-glass")["old"] == "ADMIN"
