"""Eight ways in which a metric goes blind, each brought about on a real server, while it lasts."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.monitoring.history.file import NAME
from tabsync.postgres import embedded
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.service import collector
from tabsync.workspace import Workspace
from tests.audited import install_profile
from tests.conftest import _NO_LIMIT
from tests.pooler import pgbouncer
from tests.sessions import connect
from tests.vanish import until

DATABASE, ROLE = "restaurant", "watcher"
TABLES = ("users", "table_sessions", "orders", "split_payments", "payments")
"""What the metrics of the business read."""

Row = tuple[float | None, float | None]
Truth = dict[str, list[Row]]
"""By label: the values, and what they are a part of."""


@dataclass
class Place:
    """A primary with something of everything that is measured, its standby, and a workspace that watches it."""

    primary: embedded.Server
    standby: embedded.Server
    workspace: Workspace
    directory: Path
    stack: ExitStack
    asks: dict[Path, psycopg.Connection[Any]] = field(default_factory=dict)

    def run(self, *statements: str) -> None:
        with connect(self.primary.conninfo(DATABASE), "tests", limits=_NO_LIMIT) as connection:
            for one in statements:
                connection.execute(one)

    def truth(self, query: str, server: embedded.Server | None = None) -> Truth | None:
        """What a superuser gets who asks directly; None where that is an error."""
        try:
            cursor = self._asks(server or self.primary).execute(query.encode())
        except psycopg.Error:
            return None
        names = [one.name for one in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        found: Truth = {}
        for row in rows:
            pair = tuple(None if row.get(one) is None else float(row[one]) for one in ("value", "of"))
            found.setdefault(str(row.get("label") or "").removeprefix("public."), []).append((pair[0], pair[1]))
        return found

    def _asks(self, server: embedded.Server) -> psycopg.Connection[Any]:
        """The session that asks directly: a kept one, so that both count the same sessions."""
        if server.directory not in self.asks:
            connection = psycopg.connect(server.conninfo(DATABASE), autocommit=True)
            self.asks[server.directory] = self.stack.enter_context(connection)
            connection.execute("set lock_timeout = '100ms'")
        return self.asks[server.directory]

    def settle(self, server: embedded.Server | None) -> None:
        """Wait until what was done is replayed, and who did it has left."""
        ours = "select from pg_stat_activity where application_name = 'tabsync/tests' and state = 'idle'"
        lag = "select from pg_stat_replication where replay_lsn < pg_current_wal_lsn()"
        until(lambda: self._asks(self.primary).execute(lag).rowcount == 0)
        until(lambda: self._asks(server or self.primary).execute(ours).rowcount == 0)


def as_watcher(server: embedded.Server) -> str:
    """How the monitor's role, which is no superuser, connects."""
    return make_conninfo(server.conninfo(DATABASE), user=ROLE, password="x")


def furnish(primary: embedded.Server) -> None:
    """The profile's database, and in it what each metric counts."""
    with connect(primary.conninfo(), "tests", limits=_NO_LIMIT) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
        connection.execute(sql.SQL("create role {} login password 'x' in role pg_monitor").format(sql.Identifier(ROLE)))
        connection.execute("alter system set max_connections = 90")
    with connect(primary.conninfo(DATABASE), "tests", limits=_NO_LIMIT) as connection:
        apply_schema(connection)
        generate(connection, orders=300)
    install_profile(primary.conninfo(DATABASE))
    with connect(primary.conninfo(DATABASE), "tests", limits=_NO_LIMIT) as connection:
        for text in (
            "update payments set created_at = now(), status = 'FAILED'"
            " where id in (select id from payments order by id limit 100)",
            "update orders set created_at = now()",
            "update split_payments set created_at = now()",
            "create table littered as select generate_series(1, 5000) as g",
            "update littered set g = g",
            "create sequence nearly maxvalue 100",
            "select setval('nearly', 95)",
            "create index broken on littered (g)",
            "update pg_index set indisvalid = false where indexrelid = 'broken'::regclass",
            "create table held (n int)",
            "grant select on all tables in schema public to watcher",
            "grant select on all sequences in schema public to watcher",
            "vacuum analyze orders",
            "select pg_reload_conf()",
        ):
            connection.execute(text)


@contextmanager
def busy(primary: embedded.Server) -> Iterator[None]:
    """A session idle in a transaction, one that waits for its lock, and one that runs a long query."""
    with ExitStack() as stack:
        idle, waits, works = (stack.enter_context(psycopg.connect(primary.conninfo(DATABASE))) for _ in range(3))
        idle.execute("lock table held in access exclusive mode")
        threads = []
        for one, text in ((waits, "select count(*) from held"), (works, "select pg_sleep(600)")):
            threads.append(threading.Thread(target=_suffer, args=(one, text)))
            threads[-1].start()
        try:
            yield
        finally:
            waits.cancel_safe()
            works.cancel_safe()
            for thread in threads:
                thread.join()


def _suffer(connection: psycopg.Connection[Any], text: str) -> None:
    with suppress(psycopg.Error):
        connection.execute(text.encode())


Look = Callable[[Workspace | None], None]
"""Let the collector look once; a workspace: another collector, that of this one."""

Way = Callable[[Place, Look], None]
"""Brings it about, and looks while it lasts."""


def right_revoked(place: Place, look: Look) -> None:
    place.run("revoke pg_monitor from watcher", "revoke all on all tables in schema public from watcher")
    place.run("revoke all on all sequences in schema public from watcher")
    look(None)
    place.run("grant pg_monitor to watcher", "grant select on all tables in schema public to watcher")
    place.run("grant select on all sequences in schema public to watcher")


def hidden_by_a_policy(place: Place, look: Look) -> None:
    place.run(*(f"alter table {one} enable row level security" for one in TABLES))
    look(None)
    place.run(*(f"alter table {one} disable row level security" for one in TABLES))


def object_renamed(place: Place, look: Look) -> None:
    place.run(*(f"alter table {one} rename to {one}_away" for one in TABLES))
    look(None)
    place.run(*(f"alter table {one}_away rename to {one}" for one in TABLES))


def lock_held(place: Place, look: Look) -> None:
    with connect(place.primary.conninfo(DATABASE), "tests", limits=_NO_LIMIT, autocommit=False) as connection:
        connection.execute(f"lock table {', '.join(TABLES)} in access exclusive mode")
        look(None)
        connection.rollback()


def time_out(place: Place, look: Look) -> None:
    """The server takes the statements, and its process doesn't go on: it is stopped."""
    query = "select pid as value from pg_stat_activity where application_name = 'tabsync/collector'"
    found = place.truth(query) or {}
    ((pid, _),) = found[""]
    assert pid is not None
    before, collector._DEADLINE = collector._DEADLINE, 1.0
    os.kill(int(pid), signal.SIGSTOP)
    try:
        look(None)
    finally:
        collector._DEADLINE = before
        os.kill(int(pid), signal.SIGCONT)


def behind_a_pooler(place: Place, look: Look) -> None:
    directory = place.directory / "pooler"
    directory.mkdir()
    with pgbouncer(directory, place.primary.conninfo(DATABASE), "transaction") as through:
        look(replace(place.workspace, conninfo=through))


def on_a_standby(place: Place, look: Look) -> None:
    until(lambda: place.truth("select 1 as value", place.standby))
    look(replace(place.workspace, conninfo=as_watcher(place.standby)))


def history_full(place: Place, look: Look) -> None:
    """Nothing can be written into it: somebody else holds it."""
    other = sqlite3.connect(place.workspace.home / NAME, isolation_level=None)
    other.execute("begin immediate")
    look(None)
    other.rollback()
    other.close()


_RUN = """
import sys
from pathlib import Path
from tabsync.service.collector import Collector
from tabsync.workspace import Workspace
home, conninfo, store, manual, ledger = sys.argv[1:]
Collector(Workspace(Path(home), conninfo, Path(store), Path(manual), ledger), "killed").run()
"""


def collector_killed(place: Place, look: Look) -> None:
    """It measures, is killed, and from then on nobody measures."""
    own = place.workspace
    with connect(place.primary.conninfo(), "tests") as connection:
        query = "select count(*) from pg_stat_activity where application_name = 'tabsync/collector' and state = 'idle'"
        argv = [str(own.home), own.conninfo, str(own.store_root), str(own.manual_path), own.ledger_url]
        process = subprocess.Popen([sys.executable, "-c", _RUN, *argv])
        try:
            until(lambda: connection.execute(query).fetchall() == [(1,)], 60)
            time.sleep(0.5)
        finally:
            process.kill()
            process.wait()
    look(None)


WAYS: dict[str, Way] = {
    "right revoked": right_revoked,
    "policy": hidden_by_a_policy,
    "renamed": object_renamed,
    "lock held": lock_held,
    "time-out": time_out,
    "pooler": behind_a_pooler,
    "standby": on_a_standby,
    "history full": history_full,
    "killed": collector_killed,
}
