"""A database whose owner is after us, and one whose settings are all at their worst: every procedure, each version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.postgres import embedded
from tabsync.postgres.connect import connect as connect_ours
from tabsync.postgres.installation import installations
from tabsync.system.account import server_account
from tabsync.workspace import Workspace
from tests.conftest import missing
from tests.drills.every_procedure import CONTENT, every_procedure
from tests.presets import preset, worst_presets
from tests.servers import running_server_of
from tests.sessions import connect
from tests.traps import plant
from tests.whole import OLDEST, whole

_SETTINGS = {"wal_level": "replica", "max_wal_senders": "5"}
_DELETE = "delete from public.people where id < 5"


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[embedded.Server]:
    """A server that nobody else's databases are on: a physical backup takes all of them."""
    found = [one for one in installations() if one.major == request.param and one.has_server]
    if not found:
        missing(f"PostgreSQL {request.param}")
    with running_server_of(found[0], "hostile", _SETTINGS) as server:
        yield server


@pytest.mark.parametrize("own_server", OLDEST, indirect=True, ids=str)
def test_every_setting_at_its_worst(
    own_server: embedded.Server, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    with connect(own_server.conninfo(), "tests") as connection:
        connection.execute("create database odd")
        values = worst_presets(connection)
    conninfo = own_server.conninfo("odd")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(CONTENT.encode())
    with connect(own_server.conninfo(), "tests") as connection:
        preset(connection, "odd", values)

    def damage() -> None:
        with connect(conninfo, "tests") as session:
            session.execute(_DELETE)

    done = list(every_procedure(workspaces, conninfo, directory, damage))
    assert len(done) == 26


@pytest.mark.parametrize("own_server", OLDEST, indirect=True, ids=str)
def test_nothing_that_the_owner_planted_is_called(
    own_server: embedded.Server, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    """The owner of the database has no rights, we are superuser, and PostgreSQL's own names come last."""
    with connect(own_server.conninfo(), "tests") as connection:
        connection.execute("create role mallory login password 'x'")
        connection.execute("create database shop owner mallory")
        connection.execute("alter database shop set search_path = hostile, public, pg_catalog")
    conninfo = own_server.conninfo("shop")
    mallory = make_conninfo(conninfo, user="mallory", password="x")
    with psycopg.connect(mallory, autocommit=True, options="-c search_path=pg_catalog") as connection:
        connection.execute(CONTENT.replace("shout", "loud").encode())
        connection.execute("drop trigger loud on public.people")
    proof = directory / "proof"
    proof.touch()
    directory.chmod(0o755)
    server_account().own(proof)
    assert plant(mallory, proof) > 1_000

    def damage() -> None:
        with psycopg.connect(mallory, autocommit=True, options="-c search_path=pg_catalog") as session:
            session.execute(_DELETE)

    for name in every_procedure(workspaces, conninfo, directory, damage):
        assert proof.read_text() == "", f"before {name}"
    assert proof.read_text() == ""
    with connect_ours(conninfo, "tests") as connection:
        assert connection.execute("select rolsuper from pg_roles where rolname = 'mallory'").fetchone() == (False,)


@pytest.mark.parametrize("own_server", [17], indirect=True, ids=str)
@whole
def test_the_traps_work(own_server: embedded.Server, directory: Path) -> None:
    """A superuser who comes without our door springs them."""
    with connect(own_server.conninfo(), "tests") as connection:
        connection.execute("create role mallory login password 'x'")
        connection.execute("create database shop owner mallory")
    conninfo = own_server.conninfo("shop")
    proof = directory / "proof"
    proof.touch()
    directory.chmod(0o755)
    server_account().own(proof)
    plant(make_conninfo(conninfo, user="mallory", password="x"), proof)
    with psycopg.connect(conninfo, autocommit=True, options="-c search_path=hostile,pg_catalog") as session:
        for statement in (
            "select count(*) from pg_class",
            "select array_agg(attname) from pg_catalog.pg_attribute",
            "select format('%s', relname) from pg_catalog.pg_class",
            "select relname = 'x' from pg_catalog.pg_class",
            "select '1'::int4",
        ):
            proof.write_text("")
            try:
                session.execute(sql.SQL(statement))
            except psycopg.Error:
                continue  # it may fail, too: then it wasn't ours
            assert proof.read_text() != "", statement
