"""gameday run --database: only a server that carries its own mark is broken, and each session proves that first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.demo.mark import mark, prove
from tabsync.gamedays.ground import Ground
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.postgres import embedded
from tests.conftest import run_sql
from tests.postgres.cli.program import Done, tabsync
from tests.servers import running_server
from tests.sessions import connect


@pytest.fixture(scope="module")
def server() -> Iterator[embedded.Server]:
    """A server of its own: a game day takes all of its connections."""
    with running_server("gamedays", max_connections="14") as found:
        yield found


@pytest.fixture
def copy(server: embedded.Server) -> Iterator[str]:
    run_sql(server.conninfo(), "create database copy")
    yield server.conninfo("copy")
    run_sql(server.conninfo(), "drop database copy with (force)")


def marked(conninfo: str) -> None:
    with connect(conninfo, "tests") as connection:
        mark(connection)


def proven(conninfo: str) -> Any:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return prove(connection)


def run(directory: Path, conninfo: str) -> Done:
    return tabsync(directory, "gameday", "run", "connections", "--database", conninfo, "--json", timeout=180)


def test_a_server_without_the_mark_is_left_alone(directory: Path, server: embedded.Server, copy: str) -> None:
    refused = run(directory, copy)
    assert refused.code == 4
    assert "carries no mark" in refused.err
    with connect(copy, "tests") as connection:
        (identifier,) = connection.execute("select system_identifier::text from pg_control_system()").fetchone() or (
            "",
        )
    assert f"comment on database copy is 'tabsync: game days may break server {identifier}'" in refused.err
    asked = "select count(*) from pg_stat_activity where datname = 'copy'"
    with connect(server.conninfo(), "tests") as connection:
        assert connection.execute(asked).fetchone() == (0,)


def test_the_mark_of_another_server_is_none(copy: str) -> None:
    """A dump takes the comment along: what it is restored into is not to be broken."""
    run_sql(copy, "comment on database {} is 'tabsync: game days may break server 1'", "copy")
    with pytest.raises(Refused, match="carries no mark"):
        proven(copy)


def test_everything_on_the_server_must_carry_it(server: embedded.Server, copy: str) -> None:
    marked(copy)
    assert proven(copy)["database"] == "copy"
    run_sql(server.conninfo(), "create database shop")
    try:
        with pytest.raises(Refused, match="databases without the mark: shop"):
            proven(copy)
        marked(server.conninfo("shop"))
        assert proven(copy)
    finally:
        run_sql(server.conninfo(), "drop database shop")


def test_names_of_the_database_prove_nothing(copy: str) -> None:
    """A database that has functions of PostgreSQL's names is asked PostgreSQL's own."""
    run_sql(copy, "create schema trap")
    run_sql(copy, "create function trap.shobj_description(oid, name) returns text return 'x'")
    run_sql(copy, "alter database {} set search_path = trap, pg_catalog", "copy")
    with pytest.raises(Refused, match="carries no mark"):
        proven(copy)
    marked(copy)
    assert proven(copy)


def test_what_it_can_not_know_is_refused(server: embedded.Server, copy: str) -> None:
    marked(copy)
    run_sql(copy, "create role few connection limit 5")
    run_sql(copy, "revoke execute on function pg_control_system() from public")
    try:
        with psycopg.connect(copy, autocommit=True) as session:
            session.execute("set role few")
            with pytest.raises(NotAllowed, match="which server this is can't be read by few"):
                prove(session)
            session.execute("reset role")
            session.execute("grant execute on function pg_control_system() to few")
            session.execute("set role few")
            with pytest.raises(Refused, match="CONNECTION LIMIT"):
                prove(session)
    finally:
        run_sql(copy, "revoke execute on function pg_control_system() from few")
        run_sql(copy, "drop role few")


def test_each_session_proves_it(copy: str) -> None:
    """The mark may be taken away in the middle: no further session is opened then."""
    marked(copy)
    place: Any = None
    ground = Ground(None, place, Path(), place, copy=copy)
    ground.enter().close()
    run_sql(copy, "comment on database {} is null", "copy")
    with pytest.raises(Refused, match="carries no mark"):
        ground.enter()
    with pytest.raises(Refused, match="needs a server of its own"):
        ground.own()


def test_it_is_played_on_a_marked_copy(directory: Path, copy: str) -> None:
    marked(copy)
    played = run(directory, copy)
    assert played.code == 0, played.out + played.err
    parts = {one["part"]: one for one in played.json["parts"]}
    assert played.json["on"] == "a copy"
    assert parts["slots"]["recover"] > 0
    assert parts["pooler"]["missing"] == "it needs a server of its own"
    assert parts["application"]["ok"]
    assert proven(copy), "nothing of it is left that takes a connection, or changes the server"
