"""What can't be seen here is said, for every metric of both manuals: no privileges, a standby, a pooler."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.monitoring.collect.session import LIMITS, Watching
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading, measure
from tabsync.monitoring.unknown import kind_of
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import PLAIN_MANUAL
from tests.conftest import Databases, missing
from tests.pooler import PROGRAM, pgbouncer
from tests.postgres.monitoring.test_measure import by_title
from tests.postgres.monitoring.test_scrape import HEAVY, of
from tests.servers import running_server, standby_of
from tests.vanish import until

MANUALS = [load(Path(PROFILE_MANUAL)), load(Path(PLAIN_MANUAL))]
MANUAL = MANUALS[0]

PG_MONITOR = {
    "Active connections",
    "Connections by state",
    "Query duration",
    "Long-running queries",
    "Idle in transaction",
    "Invalid indexes",
    "WAL archiving",
    "Settings that wait for a restart",
}
"""They need it, and say so."""


def values(reading: Reading) -> dict[str, float | None]:
    return {sample.label: sample.value for sample in reading.samples}


def why(reading: Reading) -> str:
    return reading.error or (reading.worst.why if reading.worst else "")


@pytest.mark.parametrize("major", [15, 17, 18])
@pytest.mark.parametrize("manual", MANUALS, ids=["profile", "plain"])
def test_a_role_without_privileges_reads_no_wrong_number(
    audited_database: Callable[[int], str], major: int, manual: Manual
) -> None:
    conninfo = audited_database(major)
    with psycopg.connect(conninfo, autocommit=True) as conn, psycopg.connect(conninfo) as other:
        other.execute("select 1")  # it is idle in a transaction
        conn.execute(
            "create index broken on orders (id); update pg_index set indisvalid = false"
            " where indexrelid = 'broken'::regclass"
        )
        conn.execute("create sequence nearly maxvalue 100; select setval('nearly', 95)")
        all_of_it = by_title(measure(conn, manual))
        conn.execute("create role nobody_at_all; set session authorization nobody_at_all")
        hidden = by_title(measure(conn, manual))
        conn.execute("reset session authorization; drop role nobody_at_all")
    assert all_of_it.keys() == hidden.keys()
    assert values(all_of_it["Invalid indexes"]) == {"": 1}
    for title, reading in hidden.items():
        if reading.kind == "hidden":
            assert reading.level is Level.UNKNOWN
            known = ("not a member of pg_monitor", "permission denied for", "the role may not read")
            assert any(text in why(reading) for text in known), (title, why(reading))
        else:
            assert values(reading) == pytest.approx(values(all_of_it[title]), rel=0.2), title
    assert {title for title in hidden if "not a member of pg_monitor" in why(hidden[title])} == PG_MONITOR
    granting = "grant select on all sequences in schema public, tabsync_audit to nobody_at_all"
    assert granting in why(hidden["Sequences used"])


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[embedded.Server, embedded.Server]]:
    """A primary, and a standby of it with two minutes of patience for who reads."""
    replication = {"wal_level": "replica", "max_wal_senders": "5", "max_replication_slots": "5"}
    with ExitStack() as stack:
        primary = stack.enter_context(running_server("watched", shared_buffers="16MB", **replication))
        with psycopg.connect(primary.conninfo(), autocommit=True) as conn:
            conn.execute(
                "create table t (id serial primary key, n int); insert into t (n) select generate_series(1, 9)"
            )
        yield primary, stack.enter_context(standby_of(primary, "standby", max_standby_streaming_delay="-1"))


STANDBY = {
    "Dead tuples",
    "Dead tuples against autovacuum",
    "Unused indexes",
    "Invalid indexes",
    "Replication lag",
}
"""What only the primary can tell."""


def test_a_standby_says_what_only_its_primary_can_tell(pair: tuple[embedded.Server, embedded.Server]) -> None:
    plain = MANUALS[1]
    _, standby = pair
    watching = Watching(connect(standby.conninfo(), "collector", limits=LIMITS))
    found = by_title(watching.scrape([one for one in plain.metrics if one.sql], plain, 10))
    assert {title for title, one in found.items() if one.kind == "hidden"} == STANDBY
    assert {title for title, one in found.items() if one.kind == "failed"} == set()
    assert all("this server is a standby" in why(found[title]) for title in STANDBY)
    # Nothing of it is left that replay would have to wait for.
    with psycopg.connect(standby.conninfo()) as conn:
        row = conn.execute(
            "select state, backend_xmin from pg_stat_activity where pid = %s", [watching._reader.conn.info.backend_pid]
        ).fetchone()
        assert row == ("idle", None)
        row = conn.execute(
            "select count(*) from pg_locks where pid = %s", [watching._reader.conn.info.backend_pid]
        ).fetchone()
        assert row == (0,)
    watching.close()


def test_on_a_standby_no_statement_takes_longer_than_a_second(pair: tuple[embedded.Server, embedded.Server]) -> None:
    heavy = of(HEAVY.format(0), "select 1 as value")
    errors = ("there was no answer before the deadline", "canceling statement due to statement timeout")
    for server, error in zip(pair, errors, strict=True):
        with closing(Watching(connect(server.conninfo(), "collector", limits=LIMITS))) as watching:
            slow, quick = watching.scrape(heavy.metrics, heavy, 2)
        assert (slow.error, quick.error) == (error, "")


def lag(primary: embedded.Server) -> dict[str, float | None]:
    with psycopg.connect(primary.conninfo(), autocommit=True) as conn:
        (reading,) = measure(conn, MANUAL, only=["Replication lag"])
    return values(reading)


def test_the_lag_of_an_idle_primary_is_nothing_and_of_a_stopped_replay_grows(
    pair: tuple[embedded.Server, embedded.Server],
) -> None:
    primary, standby = pair
    with (
        psycopg.connect(standby.conninfo(), autocommit=True) as replica,
        psycopg.connect(primary.conninfo(), autocommit=True) as conn,
    ):
        conn.execute("insert into t (n) values (1)")
        conn.execute("select pg_sleep(1.5)")
        assert list(lag(primary).values()) == [0]
        replica.execute("select pg_wal_replay_pause()")
        try:

            def grown() -> bool:
                conn.execute("insert into t (n) values (2)")
                (seconds,) = lag(primary).values()
                return seconds is not None and seconds > 1

            until(grown)
        finally:
            replica.execute("select pg_wal_replay_resume()")


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_through_a_pooler(databases: Databases, directory: Path, mode: str) -> None:
    if shutil.which(PROGRAM) is None:
        missing("pgbouncer")
    plain = MANUALS[1]
    with pgbouncer(directory, databases(17), mode) as through:
        if mode == "transaction":
            with pytest.raises(Refused, match="pooler in transaction mode") as refused:
                Watching(connect(through, "collector", limits=LIMITS))
            assert kind_of(refused.value) == "hidden"
            return
        watching = Watching(connect(through, "collector", limits=LIMITS))
        for _ in range(2):
            found = watching.scrape([one for one in plain.metrics if one.sql], plain, 10)
            assert {one.metric: one.error for one in found if one.error} == {}
        assert watching.trips == 2
        watching.close()


INVALID = {
    "a parent whose partitions have no index yet": (
        "create table p (n int) partition by range (n); create table q partition of p for values from (0) to (9);"
        " create index parent on only p (n)",
        0,
    ),
    "one that failed": (
        "create table p (n int); create index failed on p (n);"
        " update pg_index set indisvalid = false where indexrelid = 'failed'::regclass",
        1,
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_index_that_is_invalid_by_right_is_not_counted(databases: Databases, case: str) -> None:
    before, count = INVALID[case]
    with psycopg.connect(databases(17), autocommit=True) as conn:
        conn.execute(before.encode())
        (reading,) = measure(conn, MANUAL, only=["Invalid indexes"])
    assert values(reading) == {"": count}


def test_an_index_that_is_being_built_is_not_counted(databases: Databases) -> None:
    conninfo = databases(17)
    with psycopg.connect(conninfo, autocommit=True) as conn, psycopg.connect(conninfo) as other:
        conn.execute("create table p (n int)")
        other.execute("insert into p values (1)")  # the build waits for the end of this transaction
        builder = psycopg.connect(conninfo, autocommit=True)
        building = threading.Thread(target=lambda: builder.execute("create index concurrently slow on p (n)"))
        building.start()
        while conn.execute("select from pg_index where not indisvalid").rowcount == 0:
            pass
        (reading,) = measure(conn, MANUAL, only=["Invalid indexes"])
        other.commit()
        building.join()
        builder.close()
    assert values(reading) == {"": 0}


SEQUENCES = {
    "its own end": ("create sequence s maxvalue 100; select setval('s', 95)", {"public.s": (95, 100)}),
    "the column that owns it": (
        "create table t (id int); create sequence s owned by t.id; select setval('s', 2000000000)",
        {"public.s": (2_000_000_000, 2_147_483_647)},
    ),
    "a column that only uses it": (
        "create sequence s; create table t (id smallint default nextval('s')); select setval('s', 30000)",
        {"public.s": (30_000, 32_767)},
    ),
    "a column whose type is a domain": (
        "create domain small as smallint; create sequence s; create table t (id small default nextval('s'));"
        " select setval('s', 30000)",
        {"public.s": (30_000, 32_767)},
    ),
    "an identity column": (
        "create table t (id int generated always as identity); select setval('t_id_seq', 1800000000)",
        {"public.t_id_seq": (1_800_000_000, 2_147_483_647)},
    ),
    "one that begins again": ("create sequence s maxvalue 100 cycle; select setval('s', 95)", {}),
    "one that is hardly used": ("create sequence s; select setval('s', 95)", {}),
}


@pytest.mark.parametrize("major", [15, 18])
@pytest.mark.parametrize("case", SEQUENCES)
def test_a_sequence_is_measured_by_what_ends_first(databases: Databases, case: str, major: int) -> None:
    before, expected = SEQUENCES[case]
    with psycopg.connect(databases(major), autocommit=True) as conn:
        conn.execute(before.encode())
        (reading,) = measure(conn, MANUAL, only=["Sequences used"])
    assert {one.label: (one.value, one.of) for one in reading.samples} == expected


ARCHIVING = {
    "works": ("/bin/true", False),
    "fails": ("/bin/false", True),
    "hangs": ("sleep 60", True),
    "is not there": ("", True),
}


@pytest.mark.parametrize("case", ARCHIVING)
def test_archiving_that_never_worked_is_seen(case: str) -> None:
    command, waits = ARCHIVING[case]
    settings = {"wal_level": "replica", "archive_mode": "on", "archive_command": command}
    with (
        running_server("archiving", shared_buffers="16MB", **settings) as server,
        psycopg.connect(server.conninfo(), autocommit=True) as conn,
    ):

        def measured() -> Any:
            (reading,) = measure(conn, MANUAL, only=["WAL archiving"])
            return reading.samples[0].value, reading.samples[0].note

        assert measured()[0] == 0
        conn.execute("create table t (n int); select pg_switch_wal()")
        conn.execute("select pg_sleep(1.2)")
        seconds, note = measured()
    assert (seconds > 1) == waits, note
    assert note.startswith("1 files wait" if waits else "0 files wait")
