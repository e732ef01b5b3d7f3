"""Random sequences of everything that writes to a store or deletes from it, with crashes at any call.

After each of them: every backup that is listed has all its objects with matching digests, what is held is there, so is
the newest proven one, and only a prune ever took a backup away.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tabsync.backups.copy import send
from tabsync.backups.hold import hold, release
from tabsync.backups.retention.garbage import collect
from tabsync.backups.retention.lease import LASTS, release_lease, take_lease
from tabsync.backups.retention.policy import Candidate, Decision, decide
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Context, Facts
from tabsync.manual.model import RetentionClass
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest
from tests.drills.pruned import SOURCE, stored

GRACE = timedelta(hours=24)
CLASSES = (
    RetentionClass(name="full", what="", frequency="", retention=timedelta(days=3), stores=("Local",), line=1),
    RetentionClass(name="brief", what="", frequency="", retention=timedelta(days=1), stores=("Local",), line=1),
)

PARTS = st.sets(st.integers(0, 9), min_size=1, max_size=4)
REASONS = st.sampled_from(["manual", "brief", "brief", "strange"])


class Crash(BaseException):
    """The process dies here."""


class CrashingStore(LocalStore):
    """A store whose process may die before any of its deletions and creations."""

    left: ClassVar[int] = 0

    def arm(self, calls: int) -> None:
        CrashingStore.left = calls

    def _tick(self) -> None:
        CrashingStore.left -= 1
        if CrashingStore.left < 0:
            raise Crash

    def delete_manifest(self, backup: str) -> bool:
        self._tick()
        return LocalStore.delete_manifest(self, backup)

    def delete_object(self, digest: str, before: datetime) -> bool:
        self._tick()
        return LocalStore.delete_object(self, digest, before)

    def delete_marker(self, kind: str, name: str) -> bool:
        self._tick()
        return LocalStore.delete_marker(self, kind, name)

    def put_marker(self, kind: str, name: str, content: bytes) -> bool:
        self._tick()
        return LocalStore.put_marker(self, kind, name, content)


class Services:
    """All that the steps need of a workspace."""

    def __init__(self, store: LocalStore) -> None:
        self.kept = store

    def store(self) -> LocalStore:
        return self.kept


class Life(RuleBasedStateMachine):
    """The life of a store."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(prefix="tabsync-model-")
        self.store = CrashingStore(Path(self.place.name) / "store")
        self.store.prepare()
        self.store.arm(1 << 30)
        self.directory = Path(self.place.name) / "copying"
        self.directory.mkdir()
        self.far = LocalStore(Path(self.place.name) / "far")
        self.far.prepare()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("tabsync.kernel.clock.now", lambda: self.now)
        self.patch.setattr("tabsync.stores.local.os.fsync", lambda fd: None)  # processes die here, the machine doesn't
        self.numbers = 0
        self.under_way: list[tuple[Manifest, datetime]] = []
        self.backups: set[str] = set()
        self.held: set[str] = set()
        self.proven: set[str] = set()

    def teardown(self) -> None:
        self.patch.undo()
        self.place.cleanup()

    def context(self, **results: Facts) -> Context[Any]:
        return Context(Services(self.store), "run", results, lambda done, total, unit: None)

    @contextmanager
    def crashing_after(self, calls: int) -> Iterator[None]:
        self.store.arm(calls)
        try:
            yield
        except (Crash, Refused):
            pass
        finally:
            self.store.arm(1 << 30)

    @initialize(parts=st.lists(PARTS, min_size=4, max_size=8), hours=st.integers(12, 40))
    def some_history(self, parts: list[set[int]], hours: int) -> None:
        for number, one in enumerate(parts):
            self.take(one, ["manual", "brief"][number % 2], hours)

    @rule(parts=PARTS, reason=REASONS, hours=st.integers(0, 40))
    def take(self, parts: set[int], reason: str, hours: int) -> None:
        """A whole take, some time after what was before."""
        self.now += timedelta(hours=hours)
        self.store_a_dump(parts, reason)
        one, _since = self.under_way.pop()
        self.store.commit(one)
        self.backups.add(one.id)

    @rule(parts=PARTS, reason=REASONS)
    def store_a_dump(self, parts: set[int], reason: str) -> None:
        """The first half of a take: its objects, which it may share with anything."""
        self.numbers += 1
        files = tuple(stored(self.store, b"part %d" % part, self.now) for part in parts)
        at = iso(self.now)
        backup = f"b{self.numbers:04}"
        kind = "full" if reason != "strange" else "strange"
        one = Manifest(backup, kind, reason, at, at, {"time": at, "lsn": "0/1"}, SOURCE, {}, {}, files)
        self.under_way.append((one, self.now))

    @rule(parts=PARTS, crash=st.sampled_from([1 << 20, 1 << 20, 1 << 20, 1]))
    def store_a_copy(self, parts: set[int], crash: int) -> None:
        """The first half of a copy that comes from another store: it sends what isn't here and counts on the rest."""
        self.numbers += 1
        files = tuple(stored(self.far, b"part %d" % part, self.now) for part in parts)
        sent = 0
        for file in files[:crash]:
            send(self.far, self.store, file, self.directory)
            path = self.store.object_path(file.digest)
            if path.stat().st_mtime > self.now.timestamp():  # it was made young; here, young is what the model says
                os.utime(path, (self.now.timestamp(),) * 2)
            sent += 1
        at = iso(self.now)
        if sent == len(files):
            backup = f"b{self.numbers:04}"
            one = Manifest(backup, "full", "manual", at, at, {"time": at, "lsn": "0/1"}, SOURCE, {}, {}, files)
            self.under_way.append((one, self.now))

    @rule(parts=PARTS, hours=st.integers(0, 60))
    def a_copy_is_overtaken_by_a_prune(self, parts: set[int], hours: int) -> None:
        """What was left unnamed long ago is what a copy may count on, and what a prune deletes."""
        self.store_a_dump(parts, "manual")
        self.under_way.pop()  # this take dies
        self.now += timedelta(hours=hours)
        self.store_a_copy(parts, 1 << 20)
        self.prune(1 << 20)
        one, _since = self.under_way.pop()
        self.store.commit(one)
        self.backups.add(one.id)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """The second half, as late as the grace period allows; later, the take has died."""
        one, since = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if self.now - since < GRACE:
            self.store.commit(one)
            self.backups.add(one.id)

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def hold_one(self, data: st.DataObject) -> None:
        backup = data.draw(st.sampled_from(sorted(self.backups)))
        try:
            hold(self.context(), backup=backup, reason="")
            self.held.add(backup)
        except Refused:
            pass

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release_one(self, data: st.DataObject) -> None:
        backup = data.draw(st.sampled_from(sorted(self.held)))
        release(self.context(), backup=backup)
        self.held.remove(backup)

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def prove_one(self, data: st.DataObject) -> None:
        self.proven.add(data.draw(st.sampled_from(sorted(self.backups))))

    @rule(crash=st.one_of(st.just(1 << 20), st.integers(0, 12)))
    def prune(self, crash: int) -> None:
        """What the steps of a prune do, dying anywhere."""
        going = [one.id for one in self.decisions() if not one.keep]
        with self.crashing_after(crash):
            lease = take_lease(self.store).to_json()
            for backup in going:
                self.store.delete_manifest(backup)
            collect(self.context(lease=lease), grace_seconds=GRACE.total_seconds())
            release_lease(self.store, lease["token"])
        assert self.backups - set(self.store.ids()) <= set(going)
        self.backups = set(self.store.ids())

    @rule()
    def a_prune_works_off_everything(self) -> None:
        """Once no lease is alive, a prune that doesn't die leaves only what is named or young."""
        self.now += LASTS
        lease = take_lease(self.store).to_json()
        collect(self.context(lease=lease), grace_seconds=GRACE.total_seconds())
        release_lease(self.store, lease["token"])
        named = {file.digest for one in self.store.manifests()[0] for file in one.files}
        assert all(one.digest in named or self.now - one.modified <= GRACE for one in self.store.objects())
        assert self.store.markers("leases") == {}

    def decisions(self) -> list[Decision]:
        manifests, bad = self.store.manifests()
        assert bad == []
        candidates = [Candidate(one.id, one.subject, one.kind, one.reason, one.taken_at) for one in manifests]
        held = dict.fromkeys(self.store.markers("holds"), "")
        return decide(candidates, CLASSES, held, self.proven, self.now)

    @invariant()
    def every_backup_is_whole(self) -> None:
        manifests, bad = self.store.manifests()
        assert bad == []
        for one in manifests:
            assert list(self.store.damaged(one)) == []

    @invariant()
    def nothing_is_lost_that_must_stay(self) -> None:
        there = set(self.store.ids())
        assert self.held <= there
        assert self.backups == there
        assert not self.proven or max(self.proven) in there


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
