"""The log cannot be written: no order is lost, what must be recorded is refused, and what is missing is counted."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.system.account import server_account
from tabsync.workspace import Workspace
from tests.conftest import missing
from tests.postgres.audit.steps import status
from tests.whole import WHOLE

Session = psycopg.Connection[tuple[Any, ...]]
ORDER = (
    "insert into orders (restaurant_id, table_session_id, status)"
    " select restaurant_id, table_session_id, 'DELIVERED' from orders order by id limit %s"
)
PROMOTE = "update users set role = 'SUPER_ADMIN' where email = 'user@example.com'"
CLAIMS = """select set_config('request.jwt.claims', '{"sub": "ana"}', false)"""


@pytest.fixture(params=(15, 17, 18) if WHOLE else (17,))
def conninfo(request: pytest.FixtureRequest, audited_database: Callable[..., str]) -> str:
    return audited_database(request.param)


@pytest.fixture
def session(conninfo: str) -> Iterator[Session]:
    with psycopg.connect(conninfo, autocommit=True) as opened:
        yield opened


def one(session: Session, statement: str) -> Any:
    row = session.execute(statement).fetchone()
    assert row
    return row[0]


@contextmanager
def partition_missing(session: Session, _directory: Path) -> Iterator[None]:
    """As when the month has changed and nobody has made the next one."""
    parts = session.execute("select inhrelid::regclass::text from pg_inherits where inhparent = 'audit_logs'::regclass")
    for (name,) in parts.fetchall():
        session.execute(f"alter table audit_logs detach partition {name}")
    yield


@contextmanager
def sequence_exhausted(session: Session, _directory: Path) -> Iterator[None]:
    last = one(session, "select nextval('audit_logs_id_seq')")
    session.execute(f"alter sequence audit_logs_id_seq maxvalue {last}")
    yield


@contextmanager
def function_broken(session: Session, _directory: Path) -> Iterator[None]:
    session.execute(
        "create or replace function tabsync_audit.claimed() returns text[] language plpgsql as"
        " $$ begin raise division_by_zero; end $$"
    )
    yield


@contextmanager
def log_locked(session: Session, _directory: Path) -> Iterator[None]:
    with psycopg.connect(session.info.dsn, password=session.info.password) as other:
        other.execute("lock table audit_logs in access exclusive mode")
        yield


@contextmanager
def disk_full(session: Session, directory: Path) -> Iterator[None]:
    """A tablespace of its own, on a file system without room."""
    disk = directory / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(disk)], check=False).returncode:
        missing("mount")
    part = one(session, "select relname from pg_class where relname like 'audit_logs_until%' and relkind = 'r'")
    try:
        (disk / "space").mkdir()
        server_account().own(disk / "space")
        session.execute(f"create tablespace tiny location '{disk / 'space'}'")
        session.execute(f"alter table {part} set tablespace tiny")
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass
        with pytest.raises(psycopg.errors.DiskFull):
            while True:  # until the pages that it has are full
                session.execute("insert into audit_logs (action, entity_type, entity_id) values ('x', 'x', 'x')")
        yield
    finally:
        (disk / "ballast").unlink(missing_ok=True)
        session.execute(f"alter table {part} set tablespace pg_default")
        session.execute("drop tablespace if exists tiny")
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


FAULTS: dict[str, Callable[[Session, Path], Any]] = {
    "partition missing": partition_missing,
    "sequence exhausted": sequence_exhausted,
    "function broken": function_broken,
    "log locked": log_locked,
    "disk full": disk_full,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_order_is_lost(session: Session, conninfo: str, directory: Path, fault: str) -> None:
    started = time.time()
    with psycopg.connect(conninfo, autocommit=True) as shop:
        shop.execute(CLAIMS)
        with FAULTS[fault](session, directory):
            before = one(shop, "select count(*) from orders")
            gaps = one(shop, "select last_value from tabsync_audit.gaps")
            warned: list[str] = []
            shop.add_notice_handler(lambda said: warned.append(said.message_primary or ""))
            shop.execute(ORDER, [1])
            with shop.transaction():
                for _ in range(3):
                    shop.execute(ORDER, [2])
            assert one(shop, "select count(*) from orders") == before + 7
            assert one(shop, "select last_value from tabsync_audit.gaps") == gaps + 7
            assert started - 1 <= one(shop, "select last_value from tabsync_audit.last_gap") <= time.time() + 1
            assert len(warned) == 4
            assert all(said.startswith("a change of public.orders was not recorded") for said in warned)
            with pytest.raises(psycopg.Error):
                shop.execute(PROMOTE)
        role = one(session, "select role from users where email = 'user@example.com'")
        assert role == "CUSTOMER"


def test_what_is_missing_is_told(session: Session, conninfo: str, workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(conninfo)
    with psycopg.connect(conninfo, autocommit=True) as shop, log_locked(session, Path()):
        shop.execute(ORDER, [5])
    page = status(workspace)
    assert (page.exit_code, page.data["gaps"]) == (1, 5)
    assert "5 changes could not be recorded, the last one" in page.data["drift"][0]["told"]


def test_many_statements_of_a_transaction_do_not_overflow_the_cache(
    audited_database: Callable[..., str],
) -> None:
    with psycopg.connect(audited_database(18)) as session:
        for _ in range(100):
            session.execute(ORDER, [1])
        counts = session.execute(
            "select s.subxact_count, s.subxact_overflowed from pg_stat_get_backend_idset() b(id),"
            " pg_stat_get_backend_subxact(b.id) s where pg_stat_get_backend_pid(b.id) = pg_backend_pid()"
        ).fetchone()
        assert counts == (32, False)
        written = "select count(*) from audit_logs where xid = pg_current_xact_id() and action = 'INSERT'"
        assert session.execute(written).fetchone() == (100,)


@pytest.mark.parametrize("setting", ["failed", "99", "-1", "1e3", "'", "99999999999999999999", "٣٢"])
def test_nobody_gets_past_it_by_a_setting(session: Session, setting: str) -> None:
    session.execute("select set_config('tabsync.audit_guard', %s, false)", [setting])
    session.execute(ORDER, [1])
    assert one(session, "select count(*) from audit_logs where xid is not null") == 1


def test_after_a_failure_the_rest_of_the_transaction_is_not_held_up(session: Session, conninfo: str) -> None:
    """Each further statement waits a millisecond for the lock, and is recorded once it is free."""
    with psycopg.connect(conninfo) as shop, psycopg.connect(conninfo) as other:
        other.execute("lock table audit_logs in access exclusive mode")
        for _ in range(40):
            shop.execute(ORDER, [1])
        other.rollback()
        shop.execute(ORDER, [1])
        shop.commit()
    assert one(session, "select last_value from tabsync_audit.gaps") == 40
    assert one(session, "select count(*) from audit_logs where xid is not null") == 1
