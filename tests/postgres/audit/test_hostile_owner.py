"""The owner of the tables has planted PostgreSQL's own names: none is called, neither by us nor by the triggers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.audit.database import triggers
from tabsync.audit.database.log import log_of
from tabsync.audit.database.setup import setup_of
from tabsync.audit.drift import drift
from tabsync.audit.install import PARTS
from tabsync.audit.seals.outside import Outside
from tabsync.audit.seals.seal import sealed
from tabsync.audit.seals.verified import verified
from tabsync.manual.model import Hierarchy
from tabsync.postgres.connect import connect
from tabsync.system.account import server_account
from tests.conftest import Databases, Servers, run_sql
from tests.postgres.audit.test_odd import IDS, SHAPE, audit_of
from tests.traps import plant
from tests.whole import WHOLE

MALLORY = "mallory_audited"


@pytest.mark.parametrize("major", [15, 17, 18] if WHOLE else [15])
def test_nothing_that_the_owner_planted_is_called(
    databases: Databases, servers: Servers, directory: Path, major: int
) -> None:
    conninfo = databases(major)
    run_sql(conninfo, f"create role {MALLORY} login password 'x'")
    try:
        _run(conninfo, directory)
    finally:
        run_sql(conninfo, "drop schema if exists tabsync_audit cascade")
        run_sql(conninfo, f"drop owned by {MALLORY} cascade")
        run_sql(servers(major).conninfo(), "alter database {} owner to postgres", conninfo_name(conninfo))
        run_sql(servers(major).conninfo(), f"drop owned by {MALLORY}")
        run_sql(servers(major).conninfo(), f"drop role {MALLORY}")


def conninfo_name(conninfo: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(conninfo)["dbname"])


def _run(conninfo: str, directory: Path) -> None:
    name = conninfo_name(conninfo)
    with connect(conninfo, "tests") as connection:
        database = sql.Identifier(name)
        connection.execute(sql.SQL("alter database {} owner to {}").format(database, sql.Identifier(MALLORY)))
        connection.execute(sql.SQL("alter database {} set search_path = hostile, public, pg_catalog").format(database))
        connection.execute(f"alter schema public owner to {MALLORY}")
    mallory = make_conninfo(conninfo, user=MALLORY, password="x", passfile="/dev/null")
    own: Callable[[], Any] = lambda: psycopg.connect(mallory, autocommit=True, options="-c search_path=pg_catalog")  # noqa: E731
    with own() as owner:
        owner.execute("create type public.mood as enum ('good', 'bad')")
        owner.execute(f"create table public.audit_logs {SHAPE}".format(id=IDS["identity"], user="uuid"))
        owner.execute("create table public.t (id int primary key, at timestamptz, m public.mood, p text)")
        owner.execute("create table public.u (a int, b text, primary key (a, b))")
    proof = directory / "proof"
    proof.touch()
    directory.chmod(0o755)
    server_account().own(proof)
    assert plant(mallory, proof) > 1_000
    audit = audit_of("public.audit_logs", "public.t", "public.u", must=False, secret=())
    with connect(conninfo, "tests") as connection:
        setup = setup_of(connection, audit, None, Hierarchy())
        for _ in range(2):
            for _, work, _, _ in PARTS.values():
                work(connection, setup)
                assert proof.read_text() == ""
            for one in setup.tables:
                triggers.set_triggers(connection, setup, one)
        for options in ("-c search_path=hostile,public,pg_catalog", "-c search_path=pg_catalog"):
            with own() as owner, psycopg.connect(conninfo, autocommit=True, options=options) as superuser:
                for session in (owner, superuser):
                    # The statement itself may call what the owner planted, and would as a superuser: only its triggers
                    # are looked at, so it has nothing but constants.
                    session.execute("""select pg_catalog.set_config('request.jwt.claims', '{"sub": "ana"}', false)""")
                    session.execute(
                        "insert into public.t values (1, '2026-01-01', 'good', 'x'), (2, null, 'bad', null)"
                    )
                    session.execute("insert into public.u values (1, 'x')")
                    session.execute("update public.t set p = 'y'")
                    session.execute("update public.u set b = 'y'")
                    session.execute("delete from public.t")
                    session.execute("truncate public.u")
                    assert proof.read_text() == ""
        assert [one.told for one in drift(connection, setup) if not one.weak] == []
        seals = list(sealed(connection, log_of(connection)))
        assert verified(connection, Outside()).get("wrong") == ""
        assert sum(one.rows for one in seals) == 4 * (2 + 1 + 2 + 2 + 2 + 1)
        assert connection.execute("select last_value from tabsync_audit.gaps").fetchone() == (0,)
    assert proof.read_text() == ""
