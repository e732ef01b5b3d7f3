"""Casts to JSON of a table's owner: refused when they are made, where a superuser has installed the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tabsync.audit.database import cast_guard
from tests.conftest import Databases
from tests.postgres.audit.test_odd import audit_of, installs
from tests.whole import WHOLE

Session = psycopg.Connection[dict[str, Any]]
OWNER = "owning_casts"
EVIL = (
    "create function {}(mood) returns json language plpgsql as"
    " $$ begin perform nextval('public.proof'); return '1'; end $$"
)


@pytest.fixture(params=(15, 17, 18) if WHOLE else (15, 18))
def conninfo(request: pytest.FixtureRequest, databases: Databases) -> str:
    return databases(request.param)


@pytest.fixture
def owner(conninfo: str) -> Iterator[Session]:
    """A session of the owner of an audited table with a type of its own."""
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as session:
        session.execute(f"create role {OWNER}")
        session.execute(
            f"grant create on schema public to {OWNER}; create sequence proof; grant usage on proof to public"
        )
        session.execute("create type mood as enum ('good'); create table t (id int primary key, m mood default 'good')")
        session.execute(f"alter type mood owner to {OWNER}; alter table t owner to {OWNER}")
        installs(conninfo, audit_of("audit_logs", "t"))
        session.execute(f"set session authorization {OWNER}")
        try:
            yield session
        finally:
            session.execute("reset session authorization")
            session.execute("drop event trigger if exists tabsync_audit_cast")
            session.execute(f"drop owned by {OWNER} cascade")
            session.execute(f"drop role {OWNER}")


def test_a_cast_to_json_is_refused_when_it_is_made(owner: Session) -> None:
    owner.execute(EVIL.format("evil"))
    with pytest.raises(
        psycopg.errors.InsufficientPrivilege, match="would run as the owner of the audit log"
    ) as refused:
        owner.execute("create cast (mood as json) with function evil(mood)")
    assert refused.value.diag.message_hint == "Use a function without a cast."
    owner.execute("create function words(mood) returns text language sql immutable as $$ select 'x' $$")
    owner.execute("create cast (mood as text) with function words(mood)")
    owner.execute("create temp table pg_cast (castsource oid, castfunc oid, casttarget oid)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute("create cast (mood as json) with function evil(mood)")
    owner.execute("reset session authorization")
    owner.execute("create extension hstore")  # its cast to JSON is a function in C


def test_no_cast_runs_in_a_transaction_that_is_older_than_it(owner: Session, conninfo: str) -> None:
    """What the look of the triggers can't see: this is how it went without the event trigger."""
    owner.execute(EVIL.format("evil"))
    with psycopg.connect(conninfo) as older:
        older.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        older.execute("select count(*) from t")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("create cast (mood as json) with function evil(mood)")
        older.execute("insert into t values (1)")
    owner.execute("reset session authorization")
    assert owner.execute("select is_called from proof").fetchone() == {"is_called": False}
    assert owner.execute("select count(*) from audit_logs").fetchone() == {"count": 1}


def test_one_that_is_gone_disabled_or_off_is_told_and_put_right(owner: Session, conninfo: str) -> None:
    owner.execute("reset session authorization")
    with psycopg.connect(conninfo, autocommit=True) as plain:
        assert cast_guard.wrong(plain) == ("", "")
        for change, told in (
            ("alter event trigger tabsync_audit_cast disable", "is not as it was created"),
            ("alter event trigger tabsync_audit_cast enable", "is not as it was created"),
            (
                f"alter role {OWNER} superuser; alter event trigger tabsync_audit_cast owner to {OWNER};"
                f" alter role {OWNER} nosuperuser",
                "is not as it was created",
            ),
            ("drop event trigger tabsync_audit_cast", "is missing"),
        ):
            plain.execute(change)
            assert cast_guard.wrong(plain)[0] == told
            assert cast_guard.repairs(plain)
            cast_guard.install(plain, None)  # type: ignore[arg-type]
            assert cast_guard.wrong(plain) == ("", "")
        if plain.info.server_version >= 170000:
            name = plain.info.dbname
            plain.execute(f'alter database "{name}" set event_triggers = off')
            assert cast_guard.wrong(plain)[0] == "is off, as all event triggers of this database"
            assert not cast_guard.repairs(plain)


def test_who_is_no_superuser_makes_none(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute(f"create role {OWNER}")
        try:
            session.execute(f"set role {OWNER}")
            assert cast_guard.install(session, None) == {"created": False}  # type: ignore[arg-type]
            assert cast_guard.wrong(session) == ("", "")
        finally:
            session.execute("reset role")
            session.execute(f"drop role {OWNER}")
