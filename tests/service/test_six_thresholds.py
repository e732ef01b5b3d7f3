"""The six thresholds of the manual's first edition: each brought about on a real server, told, and recovered."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import psycopg
import pytest

from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import _NO_LIMIT
from tests.servers import running_server, standby_of
from tests.service.test_collector import Watched
from tests.service.told import CONTACTS, Mailbox, Told
from tests.sessions import connect
from tests.vanish import until
from tests.whole import WHOLE

_SECONDS = 1 if WHOLE else 0.02
"""By how much the seconds of the bounds are shortened, since nobody waits a minute for a query here."""

_TABLE = """
| Metric | Warning | Critical | For | Action | Runbook |
|---|---|---|---|---|---|
| Active connections | > 80 % | > 95 % | — | Investigate, scale up | Connection pool exhausted |
| Query duration | > {q} s | > {qq} s | — | Cancel the query, optimize it | Long-running query |
| Database size | > 80 % | > 90 % | — | Clean up, scale up | Disk nearly full |
| Failed payments | > 5/hour and > 5 % | > 20/hour and > 10 % | — | Investigate the gateway | All payments failing |
| Dead tuples | > 10000 | > 50000 | — | Run VACUUM | Too many dead tuples |
| Replication lag | > {r} s | > {rr} s | — | Check the network, diagnose | Replication lag |

"""


def manual(size_of: int) -> str:
    """The profile's manual with the first edition's thresholds, and a plan whose limit is declared."""
    text = PROFILE_MANUAL.read_text(encoding="utf-8")
    seconds = {"q": 30, "qq": 60, "r": 5, "rr": 30}
    table = _TABLE.format(**{name: f"{value * _SECONDS:g}" for name, value in seconds.items()})
    text = re.sub(r"(### Thresholds\n).*?(?=\n### )", rf"\1{table}", text, flags=re.DOTALL)
    text = re.sub(
        r"### Contacts\n.*?(?=\n### )", CONTACTS.replace("## Contacts", "### Contacts").strip(), text, flags=re.DOTALL
    )
    return text.replace("Of: disk", f"Of: {size_of} B")


class Restaurant:
    """A primary with a standby, the profile's database, a collector and a notifier."""

    def __init__(self, told: Told, primary: embedded.Server, standby: embedded.Server) -> None:
        self.told, self.primary, self.standby = told, primary, standby

    def comes(self, metric: str, word: str) -> None:
        """Measure and tell until it has come by mail, and what is critical by webhook too."""

        def heard() -> bool:
            self.told.watched.look()
            self.told.notifier.step()
            mails = [one for one in self.told.box.subjects() if f"{word}: {metric}" in one]
            hooks = [one for one in self.told.hook if f"{word}: {metric}" in one["body"]]
            return bool(mails) and (bool(hooks) or word == "WARNING")

        until(heard, 90)

    def run(self, statement: str) -> None:
        with connect(self.primary.conninfo("restaurant"), "tests", limits=_NO_LIMIT) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def servers_of() -> Iterator[tuple[embedded.Server, embedded.Server]]:
    settings = {
        "max_connections": "20",
        "max_wal_senders": "5",
        "wal_receiver_status_interval": "1s",
        "autovacuum": "off",
    }
    with running_server("six", wal_level="replica", max_replication_slots="5", **settings) as primary:
        with connect(primary.conninfo(), "tests") as connection:
            connection.execute("create database restaurant")
        with connect(primary.conninfo("restaurant"), "tests", limits=_NO_LIMIT) as connection:
            apply_schema(connection)
            generate(connection, orders=300)
        with standby_of(primary, "six_standby") as standby:
            yield primary, standby


@pytest.fixture
def restaurant(
    servers_of: tuple[embedded.Server, embedded.Server],
    workspaces: Callable[..., Workspace],
    directory: Path,
    mailbox: tuple[Mailbox, int],
    webhook: tuple[list[dict[str, str]], int],
) -> Iterator[Restaurant]:
    primary, standby = servers_of
    conninfo = primary.conninfo("restaurant")
    with connect(conninfo, "tests") as connection:
        size = connection.execute("select pg_database_size(current_database())").fetchone()
    assert size is not None
    path = directory / "manual.md"
    path.write_text(manual(size[0] * 2))
    channels = (
        ("mail", f"mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"),
        ("hook", f"json://127.0.0.1:{webhook[1]}/alerts"),
    )
    watched = Watched(replace(workspaces(conninfo, path), channels=channels))
    notifier = Notifier(watched.workspace, "test", UTC, watched.said.append)
    watched.look()
    assert watched.episodes() == {}
    yield Restaurant(Told(watched, notifier, mailbox[0], webhook[0]), primary, standby)
    notifier.end()
    watched.collector.end()


def test_connections(restaurant: Restaurant) -> None:
    with ExitStack() as stack:
        for count, word in ((14, "WARNING"), (2, "CRITICAL")):
            for _ in range(count):
                stack.enter_context(psycopg.connect(restaurant.primary.conninfo("restaurant"), application_name="app"))
            restaurant.comes("Active connections", word)
    restaurant.comes("Active connections", "RECOVERED")


@contextmanager
def a_long_query(restaurant: Restaurant) -> Iterator[None]:
    connection = psycopg.connect(restaurant.primary.conninfo("restaurant"), application_name="app")

    def work() -> None:
        with suppress(psycopg.Error):
            connection.execute("select pg_sleep(600)")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        connection.cancel_safe()
        thread.join()
        connection.close()


def test_a_long_query(restaurant: Restaurant) -> None:
    with a_long_query(restaurant):
        if WHOLE:  # else it may be critical before anybody looks
            restaurant.comes("Query duration", "WARNING")
        restaurant.comes("Query duration", "CRITICAL")
    restaurant.comes("Query duration", "RECOVERED")


def test_size_against_a_declared_plan(restaurant: Restaurant) -> None:
    path, text = restaurant.told.watched.workspace.manual_path, manual(1)
    with connect(restaurant.primary.conninfo("restaurant"), "tests") as connection:
        row = connection.execute("select pg_database_size(current_database())").fetchone()
    assert row is not None
    for part, word in ((0.85, "WARNING"), (0.95, "CRITICAL"), (0.5, "RECOVERED")):
        path.write_text(text.replace("Of: 1 B", f"Of: {int(row[0] / part)} B"))
        restaurant.comes("Database size", word)


def test_failed_payments(restaurant: Restaurant) -> None:
    at = "created_at = now() - interval '1 minute'"
    some = "id in (select id from payments order by id limit {})"
    restaurant.run(f"update payments set {at}, status = 'REFUNDED' where {some.format(100)}")
    for count, word in ((7, "WARNING"), (30, "CRITICAL")):
        restaurant.run(f"update payments set status = 'FAILED' where {some.format(count)}")
        restaurant.comes("Failed payments", word)
    restaurant.run("update payments set status = 'REFUNDED' where status = 'FAILED'")
    restaurant.comes("Failed payments", "RECOVERED")


def test_dead_tuples(restaurant: Restaurant) -> None:
    restaurant.run("create table littered as select generate_series(1, 60000) as g")
    restaurant.run("update littered set g = g where g <= 20000")
    restaurant.comes("Dead tuples", "WARNING")
    restaurant.run("update littered set g = g")
    restaurant.comes("Dead tuples", "CRITICAL")
    restaurant.run("vacuum littered")
    restaurant.comes("Dead tuples", "RECOVERED")
    restaurant.run("drop table littered")


def test_lag_of_a_streaming_standby(restaurant: Restaurant) -> None:
    with connect(restaurant.standby.conninfo(), "tests") as connection:
        connection.execute("select pg_wal_replay_pause()")
        until(lambda: connection.execute("select pg_get_wal_replay_pause_state()").fetchall() == [("paused",)])
        restaurant.run("create table lagging as select g from generate_series(1, 1000) g")
        if WHOLE:  # else it may be critical before anybody looks
            restaurant.comes("Replication lag", "WARNING")
        restaurant.comes("Replication lag", "CRITICAL")
        connection.execute("select pg_wal_replay_resume()")
    restaurant.comes("Replication lag", "RECOVERED")
    restaurant.run("drop table lagging")
