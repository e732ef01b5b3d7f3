"""`wal receive` under Continuously, on a real server: kept running, one slot, no gap, ended with the service."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.postgres import embedded
from tabsync.service.watched import Watched
from tabsync.system.claims import claim
from tests.conftest import run_sql
from tests.servers import running_server
from tests.service.nights import left_of
from tests.service.place import Home, Service
from tests.sessions import connect

CONTINUOUS = """### Continuously

- Receive the WAL: `tabsync wal receive --flush 1s`
"""
SLOTS = "select slot_name, active from pg_replication_slots"


@pytest.fixture
def source() -> Iterator[embedded.Server]:
    with running_server("kept", wal_level="replica", max_wal_senders="5", synchronous_commit="on") as server:
        run_sql(server.conninfo(), "create table {} as select 1 as a", "t")
        yield server


def rows(server: embedded.Server, statement: str) -> list[tuple[object, ...]]:
    with connect(server.conninfo(), "tests") as connection:
        return list(connection.execute(statement).fetchall())


def proofs(place: Home) -> int:
    return len(place.rows("select 1 from evidence where kind = 'wal' and ok = 1"))


def until(done: Callable[[], object], service: Service, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, service.said
        time.sleep(0.1)


def receiver(place: Home) -> int:
    """The process of the job that receives; 0 while there is none."""
    begun = place.directory / ".tabsync" / "scheduled" / "continuous-wal-receive-flush-1s" / "begun"
    try:
        return int(begun.read_text() or 0)
    except FileNotFoundError:
        return 0


def again(place: Home, service: Service, moment: str) -> None:
    """Move the clock and kill the receiver: it is started again, and what it receives then is evidence."""
    place.at(moment)
    before, pid = proofs(place), receiver(place)
    os.kill(pid, signal.SIGKILL)
    until(lambda: receiver(place) not in (0, pid) and proofs(place) > before, service)


def segments(place: Home) -> list[int]:
    """The numbers of the whole segments in the store."""
    names = {path.name.partition(".")[0] for path in (place.directory / "store" / "wal").rglob("0000000*")}
    return sorted(int(name[8:16], 16) * 256 + int(name[16:24], 16) for name in names if len(name) == 24)


def test_what_never_ends_fills_no_disk_with_what_it_prints(directory: Path) -> None:
    place = directory / "continuous"
    held = claim(place)
    assert held is not None
    for text in ("first\n" * 200_000, "second\n" * 200_000):
        with (place / "output").open("a") as output:
            output.write(text)
        Watched(place).keep({"item": "wal receive"}, {}, lambda _line: None)
    held.release()
    assert (place / "output").stat().st_size == 0
    assert (place / "output.before").read_text().endswith("second\n")


def test_wal_receive_is_kept_running(source: embedded.Server, home: Callable[..., Home]) -> None:
    place = home(CONTINUOUS, conninfo=source.conninfo())
    manual = place.directory / "manual.md"
    manual.write_text(manual.read_text().replace("(RPO)**: < 24 hours", "(RPO)**: < 9 hours"))
    place.at("2026-12-01 12:00")
    with place.service() as service:
        service.waits_for("in force")
        time.sleep(2)
        assert rows(source, SLOTS) == [], "not before it is approved"
        approved = place.run("schedule", "approve", "wal-receive-flush-1s")
        assert approved.code == 0, approved.err
        until(lambda: proofs(place), service)
        rows(source, "select pg_switch_wal()")
        again(place, service, "2026-12-02 04:00")
        service.process.kill()
    with place.service() as service:  # it adopts what still receives
        time.sleep(2)
        assert [active for _, active in rows(source, SLOTS)] == [True]
        assert rows(source, "select count(*) from pg_stat_replication") == [(1,)]
        for moment in ("2026-12-02 12:00", "2026-12-02 20:00"):
            rows(source, "select pg_switch_wal()")
            again(place, service, moment)
        place.at("2026-12-03 00:30")
        states = {one["due"][:10]: one["state"] for one in shown(place)}
        assert states == {"2026-12-02": "done", "2026-12-03": "running"}, shown(place)
        assert service.ends() == 0
    assert left_of(place.directory) == []
    assert rows(source, SLOTS) == [("tabsync_wal", False)]
    found = segments(place)
    assert len(found) >= 3 and found == [*range(found[0], found[-1] + 1)], found
    place.at("2026-12-05 12:00")
    told = place.run("status").out
    assert "tabsync_wal" in told and "the server keeps what came since" in told, told


def shown(place: Home) -> list[dict[str, str]]:
    found: list[dict[str, str]] = place.json("schedule", "show", "wal-receive-flush-1s")["occurrences"]
    return found
