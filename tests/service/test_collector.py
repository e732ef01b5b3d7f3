"""The collector on a real server: what begins, lasts, fires, ends, and what must not end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.clock import now
from tabsync.kernel.errors import Exit
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts
from tabsync.manual.load import read
from tabsync.monitoring.alerts.episode import Episode, State
from tabsync.monitoring.alerts.keep import fired, open_episodes
from tabsync.monitoring.history.looks import look_list
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.who import Who, look_sessions
from tabsync.postgres.connect import Connection
from tabsync.procedures.status import look
from tabsync.service.collector import Collector
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.sessions import connect

MANUAL = """# M

## Targets

- RTO: < 1 hour
- RPO: < 15 minutes

## Retention

| Class | What | Frequency | Retention | Stores |
|---|---|---|---|---|
| full | Whole database | Daily | 30 days | Local |

## Key tables

- `waiting`

## Runbooks

### Too many orders

1. Take them.

## Schedule

### Daily

- Full backup: `tabsync backup take full`

## Metrics

### Waiting

Unit: count of orders
Every: 1 s

Orders that nobody has taken.

```sql
select name as label, orders as value, 100 as of from waiting
```

### Retries

Unit: count of retries
Every: 1 s
Gone: ok

```sql
select name as label, orders as value from waiting
```

## Thresholds

| Metric | Warning | Critical | For | Leave | Action | Runbook |
|---|---|---|---|---|---|---|
| Waiting | > 10 % | > 50 % | — | | Take them | — |
| Retries | > 1000 | — | — | | Look | — |
"""

NOBODY = """
## Contacts

| Role | Contact | Availability |
|---|---|---|
| DBA | dba@example.org | 24/7 |
"""


class Watched:
    """A collector that measures whenever it is asked to."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.said: list[str] = []
        self.collector = Collector(workspace, "test", self.said.append)

    def look(self) -> None:
        self.collector._next.clear()
        self.collector._connect_at = self.collector._items_at = 0.0
        self.collector.step()

    @property
    def first(self) -> Episode:
        return next(iter(self.episodes().values()))

    def episodes(self, kind: str = "threshold") -> dict[tuple[str, str], Episode]:
        found = [one for one in open_episodes(self.workspace.ledger()) if one.key.kind == kind]
        return {(one.key.rule, one.key.label): one for one in found}


@pytest.fixture
def watched(databases: Databases, workspaces: Callable[..., Workspace], directory: Path) -> Iterator[Watched]:
    conninfo = databases()
    run_sql(conninfo, "create table waiting (name text, orders int)")
    run_sql(conninfo, "insert into waiting values ('kitchen', 1), ('bar', 1)")
    path = directory / "manual.md"
    path.write_text(MANUAL + NOBODY)
    found = Watched(workspaces(conninfo, path))
    yield found
    found.collector.end()


def put(watched: Watched, name: str, orders: int) -> None:
    with connect(watched.workspace.conninfo, "tests") as connection:
        connection.execute("update waiting set orders = %s where name = %s", (orders, name))


@contextmanager
def locked(watched: Watched) -> Iterator[None]:
    with connect(watched.workspace.conninfo, "tests", autocommit=False) as connection:
        connection.execute("lock table waiting in access exclusive mode")
        yield


def test_what_is_over_its_bound_fires_rises_goes_on_and_ends(watched: Watched) -> None:
    watched.look()
    assert watched.episodes() == {}
    put(watched, "kitchen", 20)
    watched.look()
    (key, found), *others = watched.episodes().items()
    assert (key, found.state, found.level, others) == (("Waiting", "kitchen"), State.FIRING, "warning", [])
    assert found.facts["text"] == "20 of 100 orders (20 %)"
    put(watched, "kitchen", 60)
    watched.look()
    assert watched.episodes()[key].level == "critical"
    put(watched, "kitchen", 48)  # below the bound, and not below 90 % of it
    watched.look()
    assert (watched.episodes()[key].level, watched.episodes()[key].id) == ("critical", found.id)
    put(watched, "kitchen", 1)
    watched.look()
    assert watched.episodes() == {}
    (ended,) = fired(watched.workspace.ledger(), found.began_at)
    assert (ended.id, ended.state, ended.facts["worst"]["text"]) == (found.id, State.ENDED, "60 of 100 orders (60 %)")


def test_what_can_not_be_measured_any_more_ends_nothing(watched: Watched) -> None:
    put(watched, "kitchen", 2000)
    watched.look()
    before = watched.episodes()
    assert set(before) == {("Waiting", "kitchen"), ("Retries", "kitchen")}
    with locked(watched):
        watched.look()
    assert watched.episodes() == before
    run_sql(watched.workspace.conninfo, "alter table waiting rename to elsewhere")
    watched.look()
    assert watched.episodes() == before
    assert {rule for rule, _ in watched.episodes("blind")} == {"Waiting", "Retries"}
    run_sql(watched.workspace.conninfo, "alter table elsewhere rename to waiting")
    run_sql(watched.workspace.conninfo, "update waiting set name = 'cellar', orders = 0 where name = 'kitchen'")
    watched.look()
    assert set(watched.episodes()) == {("Waiting", "kitchen")}  # the manual says of the other: Gone: ok
    assert watched.episodes("blind") == {}


def test_a_database_that_is_gone_is_an_alert_and_ends_nothing(watched: Watched) -> None:
    put(watched, "kitchen", 20)
    watched.look()
    name = sql.Identifier(watched.collector._session._reader.conn.info.dbname)  # type: ignore[union-attr]
    with connect(watched.workspace.conninfo_to("postgres"), "tests") as connection:
        connection.execute(sql.SQL("alter database {} allow_connections false").format(name))
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tabsync/collector'"
        )
        watched.look()
        watched.look()
        assert set(watched.episodes("down")) == {("Access", "")}
        assert watched.episodes("down")["Access", ""].facts["why"]
        assert set(watched.episodes()) == {("Waiting", "kitchen")}
        connection.execute(sql.SQL("alter database {} allow_connections true").format(name))
    watched.look()
    assert watched.episodes("down") == {}
    assert set(watched.episodes()) == {("Waiting", "kitchen")}


def test_who_is_logged_in_and_since_when_the_server_runs_is_kept(watched: Watched) -> None:
    with connect(watched.workspace.conninfo, "x") as connection:
        connection.execute("set application_name = 'orders'")
        watched.look()
    with history_of(watched.workspace) as history:
        seen = history.sessions(now() - timedelta(minutes=5))
        ((_, kind, words),) = history.events(now() - timedelta(days=400), now())
    assert "orders" in {one.application for one in seen}
    assert not any(one.application.startswith("tabsync/") for one in seen)
    assert (kind, words) == ("restart", "the server was started")


def test_the_collector_has_a_role_of_its_own(watched: Watched, directory: Path) -> None:
    conninfo = watched.workspace.conninfo
    role = f"watcher_{os.getpid()}"
    run_sql(conninfo, f"create role {role} login password 'its own'; grant pg_monitor to {role}")
    try:
        passfile = Path(str(conninfo_to_dict(conninfo)["passfile"])).read_text()
        (directory / "passwords").write_text(f"*:*:*:{role}:its own\n{passfile}")
        (directory / "passwords").chmod(0o600)
        given = make_conninfo(conninfo, passfile=str(directory / "passwords"))
        mine = replace(watched.workspace, conninfo=given, collector_user=role, _open={})
        collector = Collector(mine, "own", watched.said.append)
        try:
            collector.step()
            with connect(conninfo, "tests") as connection:
                asked = "select usename from pg_stat_activity where application_name = 'tabsync/collector'"
                assert connection.execute(asked).fetchall() == [(role,)]
            with history_of(mine) as history:
                assert "permission denied" in history.tried()["waiting"][1]
        finally:
            collector.end()
    finally:
        run_sql(conninfo, f"drop role {role}")


def test_its_own_share_of_the_server_s_time_is_a_metric(watched: Watched) -> None:
    """A metric that works for half a second is most of what it takes; the status shows what was measured last."""
    manual = watched.workspace.manual_path
    slow = "select count(*) as value from generate_series(1, 2000000) a where a % 7 = 3"
    own = "### Own\n\nUnit: percent\nEvery: 1 s\nSource: collector\n\n"
    own += f"### Slow\n\nUnit: count of rows\nEvery: 1 s\n\n```sql\n{slow}\n```\n\n"
    manual.write_text(MANUAL.replace("## Thresholds", own + "## Thresholds") + NOBODY)
    once = known(watched)
    assert (once["value"], once["error"]) == ("0 %", "")  # nobody collects, so it takes nothing
    watched.look()
    before = time.monotonic()
    spent = watched.collector._session.server_seconds  # type: ignore[union-attr]
    watched.look()
    took = time.monotonic() - before
    spent = watched.collector._session.server_seconds - spent  # type: ignore[union-attr]
    assert 0 < spent <= took
    with history_of(watched.workspace) as history:
        _, value, of = history.latest_of()["own", ""]
    assert of == 100 and value == pytest.approx(spent * 100 / max(took, 1), rel=0.2)
    found = known(watched)
    assert (found["samples"][0]["value"], found["error"]) == (value, "")
    (listed,) = [one for one in look_list(watched.workspace, Nothing()).data["metrics"] if one["metric"] == "Own"]
    assert listed["samples"][0]["value"] == value


def known(watched: Watched) -> Facts:
    facts = look(watched.workspace, read(watched.workspace.manual_path)[0])
    return next(one for one in facts["readings"] if one["metric"] == "Own")


def test_sessions_that_come_and_go_between_two_looks_are_counted(watched: Watched) -> None:
    conninfo = watched.workspace.conninfo
    assert look_sessions(watched.workspace, Who()).exit_code == Exit.UNKNOWN

    def look_around() -> Facts:
        watched.collector._around_at = 0.0
        watched.look()
        page = look_sessions(watched.workspace, Who())
        assert page.exit_code == Exit.DONE
        return page.data

    with connect(conninfo, "x") as counting:
        counting.execute("set application_name = 'counting'")
        assert look_around()["established"] is None
        look_around()  # what the first look has opened itself is counted by now
        earlier, before = look_around(), sessions_of(counting)
        began, unseen = earlier["established"] or 0, earlier["unseen"] or 0
        for _ in range(5):
            with connect(conninfo, "x"):
                pass
        with connect(conninfo, "x") as stays:
            stays.execute("set application_name = 'stays'")
            found = look_around()
            assert found["established"] - began == sessions_of(counting) - before == 6
            assert found["unseen"] - unseen == 5
    names = {one["application"] for one in found["sessions"]}
    assert {"counting", "stays"} <= names and not any(one.startswith("tabsync/") for one in names)


def sessions_of(connection: Connection) -> int:
    connection.execute("select pg_stat_clear_snapshot()")
    row = connection.execute("select sessions from pg_stat_database where datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("broken", ["> 50 boxes", "> 50 orders", "nothing"])
def test_a_manual_that_is_not_valid_at_the_start_ends_nothing(watched: Watched, broken: str) -> None:
    put(watched, "kitchen", 60)
    watched.look()
    path = watched.workspace.manual_path
    text = path.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| Waiting |"))
    cells = row.split("|")
    cells[3] = f" {broken} "
    if broken == "nothing":
        cells[1] = " Wating "
    before = watched.episodes()
    assert {one.level for one in before.values()} == {"critical"}
    path.write_text(text.replace(row, "|".join(cells)))
    watched.collector.end()
    watched.collector = Collector(watched.workspace, "another", watched.said.append)
    put(watched, "kitchen", 20)
    watched.look()
    watched.look()
    assert {key: (one.state, one.level) for key, one in watched.episodes().items()} == {
        key: (one.state, one.level) for key, one in before.items()
    }
    path.write_text(text)
    watched.look()
    assert watched.episodes()["Waiting", "kitchen"].level == "warning", watched.said
