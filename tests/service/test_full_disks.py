"""The service on full disks: nothing begins that isn't on record, it is said, and it goes on when there is room."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.service.disk import Disk, small_disk
from tests.service.place import CLOCK, Home, Service
from tests.sessions import connect
from tests.whole import whole

OFTEN = """### Every 2 seconds

- List: `tabsync backup list`
"""
DAILY = """### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full`
"""


def ended(place: Home, count: int, seconds: float = 60) -> None:
    """Wait until that many occurrences have ended well."""
    until = time.monotonic() + seconds
    while len(place.rows("select 1 from occurrence where state = 'ended' and exit = 0")) < count:
        assert time.monotonic() < until, place.rows("select * from occurrence")
        time.sleep(0.1)


def started(place: Home) -> Counter[str]:
    """The processes that really were started, by the names of their directories."""
    lines = (place.directory / "starts").read_text().splitlines()
    return Counter(line.split()[2] for line in lines)


def alerts(place: Home) -> str:
    """What the status says of the schedule."""
    found = place.json("status")["alerts"]
    return json.dumps([one for one in found if one["metric"] == "Schedule"])


def test_a_ledger_whose_disk_is_full(home: Callable[..., Home], directory: Path) -> None:
    """It is on a disk of its own. What runs can't be recorded; nothing more is started until it can."""
    with small_disk(directory / "disk") as disk:
        place = home(OFTEN, ledger=f"sqlite:///{disk.place / 'ledger.sqlite'}")
        place.env |= {"PYTHONPATH": str(CLOCK), "TABSYNC_TEST_STARTS": str(place.directory / "starts")}
        with place.service() as service:
            service.waits_for("ended backup list: done")
            disk.fill()
            service.waits_for("the ledger failed")
            before = started(place)
            place.manual(OFTEN.replace("List", "List the backups"))
            time.sleep(5)
            assert started(place) == before, "nothing begins without its record"
            told = alerts(place)
            assert "the ledger failed" in told and "since" in told and "silent" not in told, told
            disk.empty()
            service.waits_for("ledger: in order again")
            ended(place, len(place.rows("select 1 from occurrence where exit = 0")) + 2)
            assert "the ledger failed" not in alerts(place)
            assert len(place.rows("select 1 from manual_version")) == 2, "the edit came into force after all"
            assert service.ends() == 0
        rows = dict(place.rows("select directory, tries from occurrence"))
        assert {name: count for name, count in started(place).items() if count > rows.get(name, 0)} == {}
        assert place.rows("select 1 from occurrence where state = 'running'") == []
        shown = place.json("schedule", "show", "backup-list")["occurrences"]
        assert {one["state"] for one in shown} <= {"done", "missed", "failed", "waiting"}


@whole
def test_a_full_home_begins_nothing_until_there_is_room(home: Callable[..., Home], directory: Path) -> None:
    """The ledger is elsewhere, so what is wrong can be read there."""
    with small_disk(directory / "disk") as disk:
        place = _at_home_on(disk, home, directory)
        with place.service() as service:
            service.waits_for("the schedule of the manual is in force")
            disk.fill()
            place.manual(DAILY)
            service.waits_for("the directory of the service can't be written: No space left on device")
            time.sleep(2)
            assert place.rows("select 1 from occurrence where state = 'running'") == []
            assert "can't be written" in alerts(place)
            disk.empty()
            service.waits_for("ended backup take full: done")
            assert service.ends() == 0
        assert place.rows("select exit from occurrence") == [(0,)]
        assert place.states()["backup-take-full"]["done"] == 1


def test_a_home_that_fills_up_hides_no_exit_code(home: Callable[..., Home], directory: Path) -> None:
    with small_disk(directory / "disk") as disk:
        place = _at_home_on(disk, home, directory)
        with place.service() as service:
            with _dump_waits(place, service):
                disk.fill()
            service.waits_for("ended backup take full: done")
            disk.empty()
            assert service.ends() == 0
        assert place.rows("select exit, state, tries from occurrence") == [(0, "ended", 1)]


@whole
def test_an_exit_code_that_is_lost_all_the_same_repeats_nothing(home: Callable[..., Home], directory: Path) -> None:
    """It is not known that it ended well; that it was done is shown by its evidence, so it isn't done again."""
    with small_disk(directory / "disk") as disk:
        place = _at_home_on(disk, home, directory)
        with place.service() as service:
            with _dump_waits(place, service, "full` (retry 3)") as job:
                (job / "exit.json.writing").unlink()
                disk.fill()
            service.waits_for("ended backup take full: its process died")
            disk.empty()
            place.run("schedule", "list")  # and nobody's look changes anything
            time.sleep(3)
            assert service.said.count("started backup-take-full") == 1
            assert service.ends() == 0
        assert place.rows("select exit, state, tries from occurrence") == [(None, "died", 1)]
        (backup,) = place.rows("select ok from evidence where kind = 'backup'")
        assert backup == (1,)
        assert place.states()["backup-take-full"]["done"] == 1


@whole
def test_one_disk_for_home_and_ledger_that_fills_up(home: Callable[..., Home], directory: Path) -> None:
    """The run can't record its end: it has failed, with the reason, and isn't repeated: something may be done."""
    with small_disk(directory / "disk") as disk:
        place = _at_home_on(disk, home, disk.place)
        with place.service() as service:
            with _dump_waits(place, service):
                disk.fill()
            service.waits_for("the ledger failed")
            disk.empty()
            service.waits_for("ended backup take full:")
            time.sleep(2)
            assert service.said.count("started backup-take-full") == 1
            assert service.ends() == 0
        ((exit_, fact, tries),) = place.rows("select exit, fact, tries from occurrence")
        assert (exit_, "could not record" in fact or "the ledger failed" in fact, tries) == (5, True, 1), fact
        assert place.states()["backup-take-full"] == {"failed": 1, "caught up": 0}


def _at_home_on(disk: Disk, home: Callable[..., Home], ledger: Path) -> Home:
    """A home on a small disk; its ledger is in that directory."""
    place = home("", ledger=f"sqlite:///{ledger / 'ledger.sqlite'}")
    place.env["TABSYNC_HOME"] = str(disk.place / "home")
    return place


@contextlib.contextmanager
def _dump_waits(place: Home, service: Service, item: str = "full`") -> Iterator[Path]:
    """While it lasts, the scheduled backup has begun and waits for a lock; gives the directory of its job."""
    service.waits_for("the schedule of the manual is in force")
    with connect(place.conninfo, "tests") as connection:
        connection.execute("begin")
        connection.execute("lock table t")
        place.manual(DAILY.replace("full`", item))
        service.waits_for("started backup-take-full")
        until = time.monotonic() + 60
        waiting = "select count(*) from pg_locks where relation = 't'::regclass and not granted"
        while connection.execute(waiting).fetchone() != (1,):
            assert time.monotonic() < until, service.said
            time.sleep(0.05)
        (job,) = Path(place.env["TABSYNC_HOME"]).glob("scheduled/backup-take-full-*")
        yield job
        connection.execute("rollback")
