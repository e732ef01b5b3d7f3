"""The audit log, read: a page by each filter over 10 million entries; rows back from it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from tests.servers import running_server
from tests.sessions import connect as connect_as_tests

from benchmarks.measure import Measured
from benchmarks.recovery import Say
from tabsync.audit.database.log import log_of
from tabsync.audit.install import install_for_tests
from tabsync.audit.reading.entries import Log
from tabsync.audit.reading.list import List, filters_of
from tabsync.backups.restore.rows.asked import AUDIT, NOTHING, Asked, asked_of
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.postgres.connect import connect
from tabsync.postgres.embedded import Server
from tabsync.postgres.settings import NO_LIMIT, Limits
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.workspace import Workspace

ENTRIES = 10_000_000
_PIECE = 100_000
_PAGE = 1.0  # seconds for a page
_ROUNDS = 5
_LIMITS = Limits(statement_timeout=0, idle_in_transaction_timeout=0)

# Ten months; the old clerk and the visits of psql are rare, and long ago or far between.
_FILL = """
insert into public.audit_logs
  (action, entity_type, entity_id, old_value, new_value, created_at, xid, origin, table_name, db_user, app, actor)
select case when n %% 20 = 0 then 'DELETE' when n %% 5 = 0 then 'INSERT' else 'UPDATE' end, 'Order',
       md5((n / 6)::text)::uuid::text, '{{"status": "CONFIRMED", "updated_at": "2026-11-29T12:00:00+00:00"}}',
       '{{"status": "DELIVERED", "updated_at": "2026-11-29T12:10:00+00:00"}}',
       now() - (%(all)s - n) * interval '2.6 seconds', (1000000000000 + n / 8)::text::xid8, 'trigger',
       case when n %% 9973 = 0 then 'public.users' when n %% 3 = 0 then 'public.order_items' else 'public.orders' end,
       case when n %% 99991 = 0 then 'dba' else 'app' end,
       case when n %% 49999 = 0 then 'psql' else 'web ' || n %% 4 end,
       case when n between 900000 and 905000 then 'old clerk' when n %% 2 = 0 then 'user ' || n %% 997 end
  from generate_series({first}::bigint, {last}::bigint) as n
"""


def measure_reading(home: Path, say: Say, entries: int = ENTRIES) -> list[Measured]:
    """A page by each filter, hot; and rows back from the same log, beyond the start of the program."""
    with running_server("bench-reading", shared_buffers="1GB", synchronous_commit="off") as server:
        _prepare(server, say, entries)
        found = [_page(server, filters) for filters in _questions(entries)]
        say("rows back from the audit log")
        with tempfile.TemporaryDirectory(prefix="reading-", dir=home) as place:
            where = Path(place)
            ledger = f"sqlite:///{where / 'ledger.sqlite'}"
            workspace = Workspace(where, server.conninfo(), where / "store", PROFILE_MANUAL, ledger)
            return [*found, _one_row(workspace), _many_rows(workspace)]


def _one_row(workspace: Workspace) -> Measured:
    seconds = []
    for _ in range(_ROUNDS):
        with connect(workspace.conninfo, "bench", as_application=True) as session:
            row = session.execute(
                "delete from payments where id = (select id from payments limit 1) returning id::text"
            ).fetchone()
        assert row
        seconds.append(_timed(partial(_back, workspace, "payments", f"id = '{row[0]}'")))
    return Measured("One deleted row back, from the audit log", median(seconds), 0.1, "s")


def _many_rows(workspace: Workspace) -> Measured:
    seconds = []
    for _ in range(_ROUNDS):
        with (
            connect(workspace.conninfo, "bench", as_application=True, limits=_LIMITS) as session,
            session.transaction(),
        ):
            session.execute(
                "create temporary table chosen on commit drop as select id from orders order by id limit 1000"
            )
            session.execute("delete from order_items where order_id in (select id from chosen)")
            session.execute("delete from orders where id in (select id from chosen)")
            row = session.execute("select pg_current_xact_id()::text").fetchone()
        assert row
        seconds.append(_timed(partial(_back, workspace, "orders", "", asked_of(transaction=row[0]))))
    return Measured("1,000 deleted orders with their items back, from the audit log", median(seconds), 2.0, "s")


def _back(workspace: Workspace, table: str, where: str, asked: Asked = NOTHING) -> None:
    with compared(workspace, table, where, AUDIT, with_dependents=asked.bounded, asked=asked) as found:
        run(plan_write_rows(workspace, found), workspace, workspace.journal()).raise_if_failed()


def _questions(entries: int) -> list[dict[str, str]]:
    middle = f"{entries * 2.6 / 2:.0f} seconds"
    return [
        {},
        {"table": "orders"},
        {"table": "users"},
        {"table": "payments"},
        {"key": "11d92d1c-6a3b-a1a5-3a0b-3c0d2a5f1a2b"},
        {"action": "UPDATE"},
        {"action": "DELETE"},
        {"action": "TRUNCATE"},
        {"by": "user 8"},
        {"by": "old clerk"},
        {"by": "dba"},
        {"by": "nobody"},
        {"app": "web 1"},
        {"app": "psql"},
        {"app": "unknown"},
        {"since": "1 hour ago"},
        {"until": middle},
        {"since": f"{entries * 2.6 / 2 + 3600:.0f} seconds", "until": middle, "table": "users"},
        {"transaction": "1000000123456"},
        {"table": "users", "action": "DELETE", "by": "old clerk"},
    ]


def _page(server: Server, filters: dict[str, str]) -> Measured:
    asked = filters_of(List(**filters))  # type: ignore[arg-type]
    with connect(server.conninfo(), "bench", limits=_LIMITS) as session:
        log = Log(session, log_of(session))
        seconds = [_timed(lambda: log.page(asked, 50)) for _ in range(_ROUNDS)]
        found = len(log.page(asked, 50))
    told = " ".join(f"--{name} '{value}'" for name, value in filters.items()) or "without a filter"
    return Measured(f"audit list {told}", median(seconds), _PAGE, "s", f" ({found} entries; first {seconds[0]:.2f} s)")


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _prepare(server: Server, say: Say, entries: int) -> None:
    manual = load(PROFILE_MANUAL)
    assert manual.audit
    say(f"an audit log of {entries:,} entries")
    with connect_as_tests(server.conninfo(), "bench", limits=NO_LIMIT) as session:
        apply_schema(session)
        generate(session, orders=2_000)
        install_for_tests(session, manual.audit, manual.users, manual.hierarchy)
    with connect(server.conninfo(), "bench", limits=_LIMITS) as session:
        for first in range(1, entries, _PIECE):
            session.execute(_FILL.format(first=first, last=first + _PIECE - 1), {"all": entries})
        session.execute("vacuum analyze public.audit_logs")
