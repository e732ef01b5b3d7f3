"""One kept session measures all metrics at once: each fails alone, nothing hangs, nothing is taken for read-only."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tabsync.manual.model import Manual
from tabsync.monitoring.collect.session import LIMITS, Watching
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import MAX_ROWS, Reading
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tests.conftest import Databases
from tests.postgres.monitoring.relay import relayed
from tests.postgres.monitoring.test_measure import by_title, metric, policy

Connection = psycopg.Connection[tuple[Any, ...]]

HEAVY = "select count(*) as value from generate_series(1, 1000000) a, generate_series(1, 1000000) b where a + b > {}"


@pytest.fixture
def watching(monitoring_conninfo: str) -> Iterator[Watching]:
    one = Watching(connect(monitoring_conninfo, "collector", limits=LIMITS))
    yield one
    one.close()


def of(*statements: str, lines: str = "Unit: count of things") -> Manual:
    """A manual with some metrics, M0, M1 and so on."""
    return policy("".join(metric(f"M{number}", text, lines) for number, text in enumerate(statements)))


def scraped(watching: Watching, *statements: str, seconds: float = 10) -> list[Reading]:
    manual = of(*statements)
    return watching.scrape(manual.metrics, manual, seconds)


def still_running(conn: Connection) -> list[Any]:
    """The sessions of the collector that do anything, but for the one that asks."""
    query = (
        "select pid, state, query from pg_stat_activity where application_name = 'tabsync/collector'"
        " and state <> 'idle' and pid <> pg_backend_pid()"
    )
    return conn.execute(query).fetchall()


def gone(conn: Connection, seconds: float = 5) -> bool:
    """Whether the collector runs nothing any more, soon."""
    until = time.monotonic() + seconds
    while found := still_running(conn):
        if time.monotonic() > until:
            raise AssertionError(found)
        time.sleep(0.05)
    return True


def test_each_statement_fails_alone(watching: Watching) -> None:
    found = scraped(
        watching,
        "select 1 / 0 as value",
        "select 1 as value",
        "select count(*) as value from no_such_table",
        "select no_such_column as value from users",
        "select pg_sleep(60)::text as value",
        "commit",
        "select 1 as value; commit",
        "select count(*) as value from users",
        "select 2 as value",
    )
    assert [reading.error for reading in found] == [
        "division by zero",
        "",
        'relation "no_such_table" does not exist',
        'column "no_such_column" does not exist',
        "this statement is not read-only: pg_sleep has side effects",
        "this statement is not read-only: COMMIT is not a read-only statement",
        "this statement is not read-only: 2 statements in one block",
        "",
        "",
    ]
    assert [reading.kind for reading in found] == ["failed", "", "hidden", "hidden", "failed", "failed", "failed"] + [
        "",
        "",
    ]
    assert not watching.lost


def value(watching: Watching, text: str) -> tuple[float | None, str]:
    (reading,) = scraped(watching, text)
    sample = reading.samples[0] if reading.samples else None
    assert (reading.level is Level.UNKNOWN) == (sample is None or sample.value is None)
    return (sample.value if sample else None), reading.error or (sample.why if sample else "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 7 as value", (7.0, "")),
        ("select 7.25::numeric as value", (7.25, "")),
        ("select -1e300::float8 as value", (-1e300, "")),
        ("select 9223372036854775807 as value", (9223372036854775807.0, "")),
        ("select null::int as value", (None, "the value is null")),
        ("select 'NaN'::numeric as value", (None, "the value is NaN")),
        ("select 'NaN'::float8 as value", (None, "the value is NaN")),
        ("select 'Infinity'::float8 as value", (None, "the value is infinite")),
        ("select 1e400::numeric as value", (None, "the value is too large")),
        ("select true as value", (None, "True is not a number")),
        ("select 'much' as value", (None, "'much' is not a number")),
        ("select '12' as value", (None, "'12' is not a number")),
        ("select '1 day'::interval as value", (None, "datetime.timedelta(days=1) is not a number")),
        ("select 'infinity'::timestamptz as value", (None, "timestamp too large (after year 10K): 'infinity'")),
        ("select 1 as one", (None, "the query returns the columns one, but no 'value'")),
        ("select g as value from generate_series(1, 2) g", (None, "the query returns 2 rows without a 'label'")),
        ("select 1 as value where false", (None, "the query returned no rows")),
        ("select repeat('x', 10000000) as label, 1 as value", (None, "a row is longer than 16 kB")),
        ("show max_connections", (None, "the query returns the columns max_connections, but no 'value'")),
        ("explain select 1", (None, "the query returns the columns query plan, but no 'value'")),
        ("values (1)", (None, "the query returns the columns column1, but no 'value'")),
        ("with x(value) as (select 3) table x", (3.0, "")),
        ("select 4 as value;", (4.0, "")),
        ("select 5 as value -- and no more", (5.0, "")),
        ("select 6 as value; -- and no more", (6.0, "")),
    ],
)
def test_a_value_is_a_number_or_unknown_with_the_reason(watching: Watching, text: str, expected: Any) -> None:
    assert value(watching, text) == expected


def test_many_rows_are_cut_before_they_are_sent(watching: Watching) -> None:
    million, labels = scraped(
        watching,
        "select 'x' || g as label, g as value from generate_series(1, 1000000) g",
        "select 'x' || g as label, g as value from generate_series(10000, 1, -1) g order by g",
    )
    assert [(len(one.samples), one.cut) for one in (million, labels)] == [(MAX_ROWS, True)] * 2
    assert [sample.value for sample in labels.samples] == list(range(1, MAX_ROWS + 1))


def test_a_locked_table_costs_its_own_metrics_only(watching: Watching, connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("lock table users in access exclusive mode")
        found = scraped(
            watching,
            "select count(*) as value from users",
            "select count(*) as value from orders",
            "select max(id) as value from users",
        )
        assert still_running(connection) == []
    assert [reading.error for reading in found] == ["canceling statement due to lock timeout", "", *[found[0].error]]
    assert {found[0].kind, found[2].kind} == {"failed"}


def test_what_is_over_its_time_is_cancelled_and_the_rest_is_measured(
    watching: Watching, connection: Connection
) -> None:
    started = time.monotonic()
    found = scraped(watching, HEAVY.format(1), "select 1 as value", HEAVY.format(2), "select 2 as value", seconds=2)
    assert time.monotonic() - started <= 2
    assert [reading.level for reading in found] == [Level.UNKNOWN, Level.UNBOUNDED] * 2
    assert {found[0].error, found[2].error} == {"there was no answer before the deadline"}
    assert not watching.lost
    assert still_running(connection) == []
    # The next time they come last, so that they take the time of no other.
    found = scraped(watching, HEAVY.format(1), HEAVY.format(2), "select 1 as value", seconds=2)
    assert [reading.error == "" for reading in found] == [False, False, True]
    assert found[2].seconds < 1


def test_more_than_can_be_cancelled_ends_with_the_session(watching: Watching, connection: Connection) -> None:
    found = scraped(watching, *(HEAVY.format(number) for number in range(60)), seconds=1)
    assert {reading.error for reading in found} == {"there was no answer before the deadline"}
    assert watching.lost
    assert gone(connection)
    assert {reading.error for reading in scraped(watching, "select 1 as value")} == {"the connection is lost"}


def test_a_connection_that_is_killed_keeps_what_was_measured(watching: Watching, connection: Connection) -> None:
    scraped(watching, "select 1 as value", "select 2 as value")

    def kill() -> None:
        while not (found := [one for one in still_running(connection) if "tabsync_rows" in one[2]]):
            time.sleep(0.01)
        connection.execute("select pg_terminate_backend(%s)", [found[0][0]])

    killer = threading.Thread(target=kill)
    killer.start()
    found = scraped(watching, "select 1 as value", HEAVY.format(0), "select 2 as value")
    killer.join()
    assert [reading.error for reading in found] == [
        "",
        "terminating connection due to administrator command",
        "the connection is lost",
    ]
    assert watching.lost


def test_a_network_that_swallows_everything_is_given_up_in_time(monitoring_tcp: embedded.Server) -> None:
    with relayed(monitoring_tcp) as relay:
        watching = Watching(connect(relay.conninfo, "collector", limits=LIMITS))
        assert scraped(watching, "select 1 as value")[0].error == ""
        relay.swallows.set()
        started = time.monotonic()
        found = scraped(watching, "select 1 as value", "select 2 as value", seconds=1)
        assert time.monotonic() - started < 1.5
        assert {reading.error for reading in found} == {"there was no answer before the deadline"}
        assert {reading.kind for reading in found} == {"failed"}
        assert watching.lost


def test_a_warm_scrape_waits_twice(monitoring_tcp: embedded.Server) -> None:
    with relayed(monitoring_tcp) as relay:
        watching = Watching(connect(relay.conninfo, "collector", limits=LIMITS))
        statements = [f"select count(*) + {number} as value from pg_class" for number in range(20)]
        taken: list[Sequence[int]] = []
        for _ in range(3):
            before = relay.turns
            assert {reading.error for reading in scraped(watching, *statements)} == {""}
            taken.append((relay.turns - before, watching.trips))
        watching.close()
    assert taken == [(3, 3), (2, 2), (2, 2)]


def test_the_session_is_left_as_it_was(watching: Watching, connection: Connection) -> None:
    inner = watching._reader.conn
    before = inner.execute("select name, setting from pg_settings order by 1").fetchall()
    scraped(watching, "select 1 as value", "select count(*) as value from users", "select 1 / 0 as value")
    assert inner.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert inner.execute("select name, setting from pg_settings order by 1").fetchall() == before
    row = connection.execute(
        "select state, backend_xmin from pg_stat_activity where pid = %s", [inner.info.backend_pid]
    ).fetchone()
    assert row == ("idle", None)


def test_when_no_session_is_left_the_kept_one_goes_on_and_can_be_cancelled(monitoring_tcp: embedded.Server) -> None:
    watching = Watching(connect(monitoring_tcp.conninfo(), "collector", limits=LIMITS))
    others = []
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        while True:
            others.append(psycopg.connect(monitoring_tcp.conninfo()))
    try:
        found = scraped(watching, "select 1 as value", HEAVY.format(0), seconds=1)
        assert [reading.error for reading in found] == ["", "there was no answer before the deadline"]
        assert not watching.lost
    finally:
        for one in others:
            one.close()
        watching.close()


REPLACED = {
    "a view that now calls a function": (
        "create view seen as select 1 as n",
        "create or replace view seen as select spring() as n",
        "select count(n) as value from seen",
    ),
    "a view that took the name of a table": (
        "create table seen (n int); create view other as select spring() as n",
        "alter table seen rename to away; alter view other rename to seen",
        "select count(n) as value from seen",
    ),
    "a table of a view in a schema that took the name of another": (
        "create schema first; create table first.seen (n int); create schema evil;"
        " create view evil.seen as select public.spring() as n",
        "alter schema first rename to away; alter schema evil rename to first",
        "select count(n) as value from first.seen",
    ),
    "a foreign table that took the name of a table": (
        "create table seen (n int); create extension file_fdw; create server f foreign data wrapper file_fdw;"
        " create foreign table other (n int) server f options (program 'false')",
        "alter table seen rename to away; alter foreign table other rename to seen",
        "select count(n) as value from seen",
    ),
    "a partition that is foreign": (
        "create table seen (n int) partition by list (n); create extension file_fdw;"
        " create server f foreign data wrapper file_fdw;"
        " create foreign table other (n int) server f options (program 'false')",
        "alter table seen attach partition other for values in (1)",
        "select count(n) as value from seen",
    ),
    "a schema that now comes first": (
        "create table seen (n int); create schema evil; create view evil.seen as select public.spring() as n",
        "do $$ begin execute format('alter database %I set search_path = evil, public', current_database()); end $$",
        "select count(n) as value from seen",
    ),
    "a function that takes the name of a column": (
        "create table seen (n int, m int); insert into seen values (1, 1)",
        "alter table seen drop column m; create function m(seen) returns int language sql as 'select spring()'",
        "select count(x.m) as value from seen x",
    ),
    "a function of PostgreSQL's name": (
        "create table seen (n text)",
        "create function lower(text, int default 0) returns text language sql as 'select public.spring()::text'",
        "select count(lower(n)) as value from seen",
    ),
    "a table with a foreign partition that becomes a partition itself": (
        "create table seen (n int) partition by list (n); create table middle (n int) partition by list (n);"
        " create extension file_fdw; create server f foreign data wrapper file_fdw;"
        " create foreign table other partition of middle for values in (1) server f options (program 'false')",
        "alter table seen attach partition middle for values in (1)",
        "select count(n) as value from seen",
    ),
    "an operator": (
        "create table seen (n int);"
        " create function eq(int, int) returns bool language sql as 'select public.spring() = $2'",
        "create operator public.= (leftarg = int, rightarg = int, function = eq)",
        "select count(*) as value from seen where n = 1",
    ),
    "a cast": (
        "create type colour as enum ('red'); create table seen (n colour);"
        " create function asked(colour) returns int language sql as 'select public.spring()'",
        "create cast (colour as int) with function asked(colour) as implicit",
        "select count(*) as value from seen",
    ),
    "a type that took the name of another": (
        "create table seen (n int); create type colour as enum ('red');"
        " create function asked(text) returns bool language sql as 'select public.spring() = 1';"
        " create domain other as text check (asked(value)); create type row_of as (a other)",
        "alter type colour rename to away; alter type row_of rename to colour",
        "select count('red'::colour) as value from seen",
    ),
}


@pytest.mark.parametrize("case", REPLACED)
def test_a_proof_is_made_anew_when_what_it_depends_on_changes(monitoring_server: embedded.Server, case: str) -> None:
    before, change, text = REPLACED[case]
    spring = "create function spring() returns int language sql as 'select 1 from pg_advisory_lock(4711)'"
    with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as owner:
        owner.execute("drop database if exists replaced with (force)")
        owner.execute("create database replaced template template0")
    try:
        with psycopg.connect(monitoring_server.conninfo("replaced"), autocommit=True) as owner:
            owner.execute(f"{spring}; {before}".encode())
            with closing(
                Watching(connect(monitoring_server.conninfo("replaced"), "collector", limits=LIMITS))
            ) as watching:
                assert [reading.error for reading in scraped(watching, text)] == [""]
                assert [reading.error for reading in scraped(watching, text)] == [""]
                assert watching.trips == 2
                owner.execute(change.encode())
                (reading,) = scraped(watching, text)
            assert "this statement may not be read-only" in reading.error
            assert reading.kind == "failed"
            held = owner.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
            assert held == (0,)
    finally:
        with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as owner:
            owner.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier("replaced")))


def test_a_refused_statement_is_run_when_what_was_missing_is_there(monitoring_server: embedded.Server) -> None:
    with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as owner:
        owner.execute("drop database if exists replaced with (force)")
        owner.execute("create database replaced template template0")
    text = "select count(*) as value from pg_stat_statements(false)"
    with psycopg.connect(monitoring_server.conninfo("replaced"), autocommit=True) as owner:
        watching = Watching(connect(monitoring_server.conninfo("replaced"), "collector", limits=LIMITS))
        (reading,) = scraped(watching, text)
        assert (reading.kind, reading.error) == (
            "hidden",
            "this statement may not be read-only: the function pg_stat_statements does not exist here",
        )
        owner.execute("create extension pg_stat_statements")
        (reading,) = scraped(watching, text)
        # Allowed now; but the library isn't loaded here, which is the server's word.
        assert (reading.kind, reading.error) == (
            "hidden",
            'pg_stat_statements must be loaded via "shared_preload_libraries"',
        )
        watching.close()


def test_titles_are_as_given(watching: Watching) -> None:
    assert list(by_title(scraped(watching, "select 1 as value", "select 1 as value"))) == ["M0", "M1"]


@pytest.mark.parametrize("major", [15, 18])
def test_the_other_versions_do_the_same(databases: Databases, major: int) -> None:
    conninfo = databases(major)
    with (
        psycopg.connect(conninfo, autocommit=True) as owner,
        psycopg.connect(conninfo) as other,
        closing(Watching(connect(conninfo, "collector", limits=LIMITS))) as watching,
    ):
        owner.execute("create table locked (n int); create view seen as select 1 as n")
        other.execute("lock table locked in access exclusive mode")
        statements = [
            "select count(n) as value from seen",
            "select count(*) as value from locked",
            "select 1 / 0 as value",
            HEAVY.format(0),
            "select 'NaN'::float8 as value",
            "select 3 as value",
        ]
        found = scraped(watching, *statements, seconds=2)
        assert [reading.error for reading in found] == [
            "",
            "canceling statement due to lock timeout",
            "division by zero",
            "there was no answer before the deadline",
            "",
            "",
        ]
        assert [reading.level is Level.UNKNOWN for reading in found] == [False, True, True, True, True, False]
        assert not watching.lost
        assert still_running(owner) == []
        owner.execute("create function act() returns int language sql as 'select 1 from pg_advisory_lock(4711)'")
        owner.execute("create or replace view seen as select act() as n")
        (reading,) = scraped(watching, statements[0])
        assert "seen calls public.act" in reading.error


def test_the_network_is_no_time_of_the_server(monitoring_tcp: embedded.Server) -> None:
    """Each round trip takes 50 ms more; what the server works is counted, and none of that."""
    work = "select count(*) as value from generate_series(1, 300000) a where a > {}"
    with relayed(monitoring_tcp) as relay, closing(connect(relay.conninfo, "collector", limits=LIMITS)) as connection:
        watching = Watching(connection)
        scraped(watching, work.format(1))
        turns, spent, began = relay.turns, watching.server_seconds, time.monotonic()
        readings = scraped(watching, work.format(1), work.format(2))
        took, spent = time.monotonic() - began, watching.server_seconds - spent
        assert relay.turns - turns >= 2
        worked = sum(one.seconds for one in readings)
        assert worked <= spent <= took - (relay.turns - turns) * 0.05
        before = watching.server_seconds
        watching.around()
        assert watching.server_seconds > before
