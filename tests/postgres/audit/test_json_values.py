"""How rows become JSON in the triggers: by nobody's cast, and whatever values they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import Databases
from tests.postgres.audit.test_odd import audit_of, entries, installs
from tests.whole import WHOLE

Session = psycopg.Connection[dict[str, Any]]
OWNER = "owning_values"


@pytest.fixture(params=(15, 17, 18) if WHOLE else (15, 18))
def conninfo(request: pytest.FixtureRequest, databases: Databases) -> str:
    return databases(request.param)


@pytest.fixture
def session(conninfo: str) -> Iterator[Session]:
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as opened:
        yield opened


def value(session: Session, statement: str) -> Any:
    row = session.execute(statement).fetchone()
    assert row
    return next(iter(row.values()))


@pytest.fixture
def owned(session: Session, conninfo: str) -> Iterator[Session]:
    """Two tables of an owner who has made, after the install, a cast to json that leaves a trace."""
    session.execute(f"create role {OWNER}")
    try:
        session.execute(f"grant create on schema public to {OWNER}")
        session.execute("create sequence proof")
        session.execute("grant usage on sequence proof to public")
        session.execute("create table strict (id int primary key); create table loose (id int primary key)")
        session.execute(f"alter table strict owner to {OWNER}; alter table loose owner to {OWNER}")
        audit = audit_of("audit_logs", "strict", "loose")
        tables = tuple(one.model_copy(update={"must": one.name == "strict"}) for one in audit.tables)
        installs(conninfo, audit.model_copy(update={"tables": tables}))
        session.execute(f"set role {OWNER}")
        session.execute("create type mood as enum ('good')")
        session.execute(
            "create function evil(mood) returns json language plpgsql as"
            " $$ begin perform nextval('public.proof'); return '1'; end $$"
        )
        for table in ("strict", "loose"):
            session.execute(f"alter table {table} add m mood default 'good'")
            session.execute(f"insert into {table} values (1)")
        session.execute("create cast (mood as json) with function evil(mood)")
        yield session
    finally:
        session.execute("reset role")
        session.execute(f"drop owned by {OWNER} cascade")
        session.execute(f"drop role {OWNER}")


CHANGES = ("insert into {} values (2)", "update {} set id = 3", "delete from {}", "truncate {}")


@pytest.mark.parametrize("change", CHANGES, ids=[one.split()[0] for one in CHANGES])
def test_no_cast_of_the_owners_runs_as_the_owner_of_the_log(owned: Session, change: str) -> None:
    warned: list[str] = []
    owned.add_notice_handler(lambda said: warned.append(said.message_primary or ""))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"the type public.mood has a cast to JSON"):
        owned.execute(change.format("strict"))
    owned.execute(change.format("loose"))
    assert ["public.mood has a cast to JSON, public.evil" in one for one in warned] == [True]
    owned.execute("reset role")
    assert value(owned, "select is_called from proof") is False
    assert value(owned, "select last_value from tabsync_audit.gaps") == 1
    owned.execute("drop cast (mood as json)")
    owned.execute("insert into strict values (7)")
    assert entries(owned)[-1]["new_value"] == {"id": 7, "m": "good"}
