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
        session.execute("alter event trigger tabsync_audit_cast disable")  # as where no superuser installs
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


POISON = {1: '"\\u0000"', 2: "1e400000", 3: '{"a": "\\ud800"}'}


@pytest.mark.parametrize("must", [True, False], ids=["must", "possible"])
def test_a_value_that_jsonb_does_not_take_hides_nothing_else(session: Session, conninfo: str, must: bool) -> None:
    session.execute("create table t (id int, part int default 1, j json, x text, s text, primary key (id, part))")
    for key, poison in POISON.items():
        session.execute("insert into t values (%s, 1, %s, 'x', 's3cret')", [key, poison])
    session.execute("""insert into t values (4, 1, '{"a": 1}', 'x', 's3cret')""")
    installs(conninfo, audit_of("audit_logs", "t", must=must, secret=("s",)))
    session.execute("update t set x = 'y', s = 'an0ther'")
    found = entries(session)
    assert [one["entity_id"] for one in found] == [f"[{key}, 1]" for key in (1, 2, 3, 4)]
    assert {str(one["new_value"]) for one in found} == {str({"s": "(secret)", "x": "y"})}
    session.execute("""update t set j = '"\\u0000 more"' where id = 1""")
    session.execute("update t set j = '5' where id = 1")
    hidden, shown = entries(session)[4:]
    assert [*hidden["old_value"]] == [*hidden["new_value"]] == ["j"]
    assert hidden["old_value"]["j"].keys() == {"(not recorded)", "sha256"}
    assert "unsupported Unicode escape" in hidden["new_value"]["j"]["(not recorded)"]
    assert shown["new_value"] == {"j": 5}
    session.execute("delete from t where id < 4")
    session.execute("insert into t (id, j, s) values (5, '1e999999', 's3cret'), (6, '[1]', null)")
    gone, come = entries(session)[6:9], entries(session)[9:]
    assert {(one["action"], one["old_value"]["x"], one["old_value"]["s"]) for one in gone} == {
        ("DELETE", "y", "(secret)")
    }
    assert [one["new_value"]["j"] for one in come][1] == [1]
    assert "(not recorded)" in come[0]["new_value"]["j"]
    assert not [one for one in entries(session) if "s3cret" in str(one) or "an0ther" in str(one)]
    session.execute("truncate t")
    last = entries(session)[-1]
    assert (last["action"], last["new_value"]["kept"]) == ("TRUNCATE", False)
    assert "overflow" in last["new_value"]["why"]
    assert value(session, "select last_value from tabsync_audit.gaps") == 0
    assert value(session, "select count(*) from t") == 0
