"""The month changes under an audited database, on a server whose clock is really set: by minutes, then by months."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tabsync.audit.database.months import AHEAD, first_of
from tabsync.audit.install import Install, plan_install
from tabsync.kernel.runner import run
from tabsync.monitoring.judge import Level
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.workspace import Workspace
from tests.audited import install_profile
from tests.conftest import _NO_LIMIT, missing
from tests.postgres.audit.steps import Silent, installs, repairs, status
from tests.postgres.audit.test_alarms import levels
from tests.postgres.audit.test_faults import ORDER
from tests.sessions import connect
from tests.set_clock import Clock, faketime, server_with_clock
from tests.vanish import until
from tests.whole import WHOLE

_SIGN = "insert into users (email, full_name, role) values (%s, 'Ana', 'CUSTOMER') returning id::text"
_CHANGE = "select tabsync_audit.change_role_as(%s, null, %s, 'ops', 'host', 'the month has changed')"


@dataclass
class Shop:
    """A restaurant that takes one order after the other, and an operator who changes roles.

    refused: what the server said to either.
    """

    conninfo: str
    clock: Clock
    orders: int = 0
    changes: int = 0
    refused: list[str] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Orders come meanwhile, and roles change."""
        over = threading.Event()
        threads = [threading.Thread(target=one, args=(over,)) for one in (self._order, self._change)]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            over.set()
            for one in threads:
                one.join()

    def works(self, times: int = 5) -> None:
        """Wait until some more of both have come, whole since now."""
        orders, changes = self.orders + times, self.changes + times
        until(lambda: (self.orders >= orders and self.changes >= changes) or self.refused, 60)

    def one(self, statement: str) -> object:
        with psycopg.connect(self.conninfo) as session:
            row = session.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def entries(self, since: datetime, to: datetime, of: str = "audit_logs") -> object:
        """How many entries of orders and of changed roles there are of a time."""
        which = "(table_name = 'public.orders' and action = 'INSERT' or action = 'ROLE_CHANGE')"
        when = f"created_at >= '{since}' and created_at < '{to}'"
        return self.one(f"select count(*) from {of} where {which} and xid is not null and {when}")

    def _order(self, over: threading.Event) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as session:
            while not over.wait(0.005):
                try:
                    session.execute(ORDER, [1])
                    self.orders += 1
                except psycopg.Error as error:
                    self.refused.append(f"order: {error}")

    def _change(self, over: threading.Event) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as session:
            row = session.execute(_SIGN, ["ana@example.com"]).fetchone()
            key, roles = (row or ("",))[0], ["WAITER", "CUSTOMER"]
            while not over.wait(0.005):
                try:
                    session.execute(_CHANGE, [key, roles[0]])
                    self.changes += 1
                    roles.reverse()
                except psycopg.Error as error:
                    self.refused.append(f"change: {error}")
            session.execute("delete from users where id = %s", [key])


@pytest.fixture(params=(15, 17, 18) if WHOLE else (17,))
def server(request: pytest.FixtureRequest) -> Iterator[tuple[embedded.Server, Clock]]:
    library = faketime()
    found = [one for one in installations() if one.major == request.param and one.has_server]
    if library is None or not found:
        missing(f"libfaketime, or PostgreSQL {request.param}")
        return
    with server_with_clock(library, datetime.now(UTC), found[0]) as (made, clock):
        yield made, clock


@pytest.fixture
def empty(server: tuple[embedded.Server, Clock]) -> Shop:
    """One without the audit log, where the month ends in five minutes."""
    made, clock = server
    clock.set(first_of(datetime.now(UTC), 1) - timedelta(minutes=5))
    with connect(made.conninfo(), "tests", limits=_NO_LIMIT) as connection:
        apply_schema(connection)
        generate(connection, orders=300)
    return Shop(made.conninfo(), clock)


@pytest.fixture
def shop(empty: Shop) -> Shop:
    install_profile(empty.conninfo)
    return empty


def test_the_month_changes(shop: Shop, workspaces: Callable[..., Workspace]) -> None:
    """A minute to midnight is crossed as it is; then nobody repairs for months; then the weekly repair runs.

    In the end there is not even the default partition: then orders go on, counted, and roles don't change.
    """
    workspace = workspaces(shop.conninfo)
    midnight = first_of(datetime.now(UTC), 1)
    with shop.open():
        shop.clock.set(midnight - timedelta(seconds=0.2))
        shop.works()
        until(lambda: shop.entries(midnight, first_of(midnight, 1)), 60)
        shop.works()
        assert (shop.refused, status(workspace).exit_code) == ([], 0)
        late = first_of(midnight, AHEAD) + timedelta(days=2)  # the first month without a partition
        shop.clock.set(late)
        shop.works()
        assert shop.entries(late, first_of(late, 1), "only audit_logs_default")
        measured = levels(shop.conninfo)
        assert measured["Audit log months ahead"] is Level.CRITICAL
        assert measured["Audit log default partition"] is Level.WARNING
        told = [one["told"] for one in status(workspace).data["drift"]]
        assert any("the current month has no partition" in one for one in told), told
        assert any("the default partition has" in one for one in told), told
        repairs(workspace)  # what the manual has each week
        shop.works()
        repairs(workspace)
        shop.works()
        assert status(workspace).data["drift"] == []
        measured = levels(shop.conninfo)
        assert measured["Audit log months ahead"] is measured["Audit log default partition"] is Level.OK
    assert shop.refused == []
    written = shop.entries(midnight - timedelta(days=1), late + timedelta(days=1))
    assert (written, shop.one("select count(*) from only audit_logs_default")) == (shop.orders + shop.changes, 0)
    _without_a_default(shop, workspace, first_of(late, AHEAD + 1) + timedelta(days=2))


def _without_a_default(shop: Shop, workspace: Workspace, late: datetime) -> None:
    """The same once more, and somebody has dropped the default partition."""
    orders = shop.one("select count(*) from orders")
    came, changed = shop.orders, shop.changes
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute("drop table audit_logs_default")
    shop.clock.set(late)
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        for _ in range(5):
            session.execute(ORDER, [1])
        with pytest.raises(psycopg.errors.CheckViolation, match="no partition of relation"):
            session.execute(_SIGN, ["ana@example.com"])
    assert shop.one("select count(*) from orders") == int(str(orders)) + 5
    assert shop.one("select last_value from tabsync_audit.gaps") == 5
    assert levels(shop.conninfo)["Changes not recorded"] is not Level.OK
    repairs(workspace)
    with shop.open():
        shop.works()
    assert (shop.refused, shop.orders > came, shop.changes > changed) == ([], True, True)
    assert status(workspace).data["drift"] == []


def test_the_month_changes_while_it_is_installed(empty: Shop, workspaces: Callable[..., Workspace]) -> None:
    """The application's own entries go on, and so does an install that was ended before the month's end."""
    workspace = workspaces(empty.conninfo)
    made = plan_install(workspace, Install()).plan
    number = next(number for number, step in enumerate(made.steps, 1) if step.key == "bound")
    run(replace(made, steps=made.steps[:number]), workspace, Silent()).raise_if_failed()
    midnight = first_of(datetime.now(UTC), 1)
    for later in (midnight + timedelta(minutes=1), first_of(midnight, 2) + timedelta(days=3)):
        with psycopg.connect(empty.conninfo, autocommit=True) as session:
            session.execute("insert into audit_logs (action, entity_type, entity_id) values ('X', 'Y', '1')")
        empty.clock.set(later)
    installs(workspace)
    assert status(workspace).data["drift"] == []
    assert empty.one("select count(*) from audit_logs where action = 'X'") == 2
