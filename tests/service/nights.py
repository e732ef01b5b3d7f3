"""Nights of the profile's manual: a real service whose clock is moved to each time at which something is due."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import psutil

from tabsync.kernel.clock import iso
from tabsync.manual.load import read
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.schedule.expected import Version, expected
from tabsync.schedule.items import Item, items_of
from tabsync.system.claims import MARK
from tests.postgres.providers.supabase import REF, TOKEN, Api
from tests.service.place import Home, Service

BEGIN = datetime(2026, 11, 30, 15, tzinfo=UTC)
"""Noon in São Paulo, of the day before the first night; a Monday."""

REPORTS = 2
"""Files that each night leaves in the home on purpose: the report of its drill, for people and for programs."""

APPROVED = ("backup-prune-apply", "backup-prune-apply-store-local", "ledger-prune-apply")

_CONFIG = """database = {conninfo!r}
store = "azure"
manual = "manual.md"
provider = "supabase"
project = "{project}"

[stores]
"Azure Blob Storage" = "azure"
Local = "local"
"""
DAILY = (
    "backup-take-full",
    "backup-take-tables-users-orders-payments",
    "drill-backup-latest-keep-warm",
    "backup-provider",
    "backup-prune-apply",
    "backup-prune-apply-store-local",
    "ledger-copy",
    "health",
)
_PRUNED = "select finished_at from run where procedure = 'backup prune' and state = 'done'"
_STARTED = "select item, due from occurrence where state not in ('running', 'waits for approval') and retry_at is null"


@dataclass(frozen=True)
class Size:
    """How large everything is. files: in the home; rows: of each table of the ledger; processes: that work for it."""

    files: int
    home: int
    scheduled: int
    warm: int
    processes: int
    objects: int
    store: int
    rows: Counter[str] = field(default_factory=Counter)


@dataclass
class Nights:
    """A home with the profile's manual. api: where Supabase is asked."""

    place: Home
    api: Api

    @property
    def home(self) -> Path:
        """Where tabsync keeps its own state."""
        return self.place.directory / ".tabsync"

    def prepare(self, manual: str) -> None:
        """Write the configuration and the manual."""
        config = _CONFIG.format(conninfo=self.place.conninfo, project=REF)
        (self.place.directory / "tabsync.toml").write_text(config)
        (self.place.directory / "manual.md").write_text(manual)
        self.place.env |= {"TABSYNC_SUPABASE_URL": self.api.url, "SUPABASE_ACCESS_TOKEN": TOKEN}

    def move(self, moment: datetime) -> None:
        """Set the clock; Supabase's goes with it."""
        self.place.at(f"{moment:%Y-%m-%d %H:%M:%S}")
        latest = int(moment.timestamp())
        window = self.api.backups["physical_backup_data"]
        window["earliest_physical_backup_date_unix"] = latest - 7 * 86_400
        window["latest_physical_backup_date_unix"] = latest

    def begin(self, service: Service) -> None:
        """Approve what has to be, once, and wait until all that was never done before has been done once."""
        service.waits_for("in force")
        for name in APPROVED:
            done = self.place.run("schedule", "approve", name)
            assert done.code == 0, done.err
        self.wait_for(service, {(one.key, "") for one in _startable()})

    def live(self, service: Service, start: datetime, end: datetime) -> None:
        """Let the service do what is due from one moment to another, one time after the other."""
        for due, keys in stops(start, end):
            self.move(due + timedelta(seconds=2))
            self.wait_for(service, {(key, iso(due)) for key in keys})

    def wait_for(self, service: Service, wanted: set[tuple[str, str]], seconds: float = 240) -> None:
        """Wait until occurrences have ended: of an item and a time, or of an item at any time."""
        until = time.monotonic() + seconds
        while missing := wanted - {
            one for row in self.place.rows(_STARTED) for one in ((row[0], row[1]), (row[0], ""))
        }:
            assert time.monotonic() < until, (missing, service.said[-3000:])
            time.sleep(0.3)

    def size(self) -> Size:
        """How large everything is now."""
        files = [path for path in self.home.rglob("*") if path.is_file() and "servers" not in path.parts]
        stored = [path for name in ("azure", "local") for path in (self.place.directory / name).rglob("*")]
        tables = [row[0] for row in self.place.rows("select name from sqlite_master where type = 'table'")]
        return Size(
            files=len(files),
            home=sum(map(_bytes, files)),
            scheduled=len([*(self.home / "scheduled").iterdir()]),
            warm=len([*(self.home / "servers" / "warm").iterdir()]),
            processes=len(left_of(self.place.directory)),
            objects=len([path for path in stored if "objects" in path.parts and path.is_file()]),
            store=sum(_bytes(path) for path in stored if path.is_file()),
            rows=Counter({name: self.place.rows(f"select count(*) from {name}")[0][0] for name in tables}),
        )

    def backups(self, store: str) -> list[str]:
        """The backups of a store."""
        return sorted(path.stem for path in (self.place.directory / store / "manifests").iterdir())

    def check_proofs(self, nights: int) -> None:
        """Each night has one proof of that night's backup, and each item of each day was done."""
        taken = {f"{BEGIN + timedelta(days=night + 1):%Y%m%d}" for night in range(nights)}
        proofs = self.place.rows(
            "select json_extract(facts, '$.backup') from evidence where kind = 'drill' and ok = 1"
            " and json_extract(facts, '$.schedule') = ''"
        )
        nightly = Counter(row[0][:8] for row in proofs)
        assert {day: nightly[day] for day in taken} == dict.fromkeys(taken, 1), nightly
        states = self.place.states()
        for item in DAILY:
            assert states[item] == {"done": nights + 1, "caught up": 0}, (item, states)
        twice = self.place.rows("select item, due from occurrence where tries > 1")
        assert twice == []

    def check_retention(self, full: timedelta, tables: timedelta) -> None:
        """Of each class exactly those are there that had not expired when expired ones were deleted last."""
        pruned = max(datetime.fromisoformat(row[0]) for row in self.place.rows(_PRUNED))
        rows = self.place.rows(
            "select json_extract(facts, '$.backup'), json_extract(facts, '$.kind') from evidence where kind = 'backup'"
        )
        kept = {"full": full, "tables": tables}
        wanted = {
            kind: {one for one, its in rows if its == kind and pruned - _taken(one) < kept[kind]} for kind in kept
        }
        assert wanted["full"] and wanted["tables"]
        assert set(self.backups("azure")) == wanted["full"] | wanted["tables"]
        assert set(self.backups("local")) == wanted["tables"]

    def check_sizes(self, sizes: Sequence[Size]) -> None:
        """What is not kept on purpose doesn't grow from night to night."""
        first, last = sizes[0], sizes[-1]
        assert {one.scheduled for one in sizes} == {0}
        assert {one.warm for one in sizes} == {1}
        assert {one.processes for one in sizes} == {0}
        assert last.files - first.files <= len(sizes) * REPORTS, (first, last)
        assert last.rows["manual_version"] == first.rows["manual_version"]


def left_of(directory: Path, seconds: float = 15) -> list[psutil.Process]:
    """The processes that still work there after a while: one that has left its exit code takes a moment to go."""
    until = time.monotonic() + seconds
    while (found := working_for(directory)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def working_for(directory: Path) -> list[psutil.Process]:
    """The processes that were started for something in a directory."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if one.pid != os.getpid() and one.environ().get(MARK, "").startswith(str(directory)):
                found.append(one)
    return found


def stops(start: datetime, end: datetime) -> Iterator[tuple[datetime, list[str]]]:
    """The times at which a service starts something by the profile's manual, and what."""
    found = expected([Version(start, "", _startable())], start, end, UTC)
    for due, group in groupby(found, key=lambda one: one.due):
        yield due, [one.item.key for one in group]


def _bytes(path: Path) -> int:
    """How large a file is; those that SQLite keeps beside its own come and go."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _startable() -> tuple[Item, ...]:
    items = items_of(read(PROFILE_MANUAL)[0])
    return tuple(one for one in items if one.built and not one.is_task and one.when.kind == "clock")


def _taken(backup: str) -> datetime:
    """When a backup was taken, by its name."""
    return datetime.strptime(backup[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
