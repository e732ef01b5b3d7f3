"""Pruning: what is shown is what goes, what anybody needs stays, whatever dies or happens in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import psycopg
import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.hold import holds, plan_hold, plan_release
from tabsync.backups.list import list_backups
from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.retention.lease import keep_lease, release_lease, take_lease
from tabsync.backups.take import plan_take_full
from tabsync.backups.verify import plan_verify
from tabsync.kernel.errors import BadUsage, FailedPartway, Refused, TabsyncError
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Quiet, run
from tabsync.kernel.step import Call, Step
from tabsync.manual.load import load
from tabsync.procedures import start
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import StoredFile
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.pruned import fabricate, proved, prune, stored
from tests.drills.test_drill import drill
from tests.postgres.cli.program import tabsync

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@pytest.fixture
def workspace(workspaces: Callable[..., Workspace]) -> Workspace:
    """A workspace without a database: pruning needs none."""
    return workspaces("host=127.0.0.1 port=1 dbname=shop")


def store_of(workspace: Workspace) -> LocalStore:
    return cast(LocalStore, workspace.store())


def do(workspace: Workspace, plan: Plan) -> None:
    run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()


def digests(workspace: Workspace) -> set[str]:
    return {one.digest for one in store_of(workspace).objects()}


def check_whole(workspace: Workspace) -> None:
    """Every backup that is listed has all that it names."""
    store = store_of(workspace)
    manifests, bad = store.manifests()
    assert bad == []
    for one in manifests:
        assert list(store.damaged(one)) == [], one.id


def fill(workspace: Workspace) -> None:
    """Two expired backups, one that was proven, one of a class of its own, one fresh; they share objects."""
    store = store_of(workspace)
    fabricate(store, "expired1", NOW - 200 * DAY, b"users", b"orders 1")
    fabricate(store, "expired2", NOW - 190 * DAY, b"users", b"orders 2", b"menu")
    fabricate(store, "proven", NOW - 180 * DAY, b"users", b"orders 3")
    fabricate(store, "before-migration", NOW - 170 * DAY, b"orders 4", reason="pre-migration")
    fabricate(store, "fresh", NOW - DAY, b"users", b"orders 5", b"menu")
    proved(workspace, "expired1")
    proved(workspace, "proven")


def test_it_shows_why_each_stays_or_goes_and_what_is_really_freed(workspace: Workspace) -> None:
    fill(workspace)
    stored(store_of(workspace), b"rubbish", NOW - 9 * DAY)
    stored(store_of(workspace), b"under way", NOW)
    seen = survey(workspace)
    rows = {one["id"]: one for one in seen.backups}
    assert {name: row["keep"] for name, row in rows.items()} == {
        "expired1": False,
        "expired2": False,
        "proven": True,
        "before-migration": True,
        "fresh": True,
    }
    assert "newest proven" in rows["proven"]["why"]
    assert rows["before-migration"]["class"] == "pre-migration"
    assert "class full, until" in rows["fresh"]["why"]
    assert (rows["expired1"]["freed_bytes"], rows["expired2"]["freed_bytes"]) == (len(b"orders 1"), len(b"orders 2"))
    assert (seen.garbage, seen.garbage_bytes) == (1, len(b"rubbish"))
    assert seen.freed == len(b"orders 1") + len(b"orders 2") + len(b"rubbish")
    assert [one["class"] for one in seen.provider] == ["pitr"]


def test_it_deletes_exactly_that(workspace: Workspace) -> None:
    fill(workspace)
    seen, before = survey(workspace), sum(one.bytes for one in store_of(workspace).objects())
    outcome = prune(workspace)
    outcome.raise_if_failed()
    assert outcome.results["forget"] == {"deleted": ["expired1", "expired2"]}
    assert outcome.results["collect"] == {"objects": 2, "bytes": seen.freed}
    assert before - sum(one.bytes for one in store_of(workspace).objects()) == seen.freed
    assert store_of(workspace).ids() == ["before-migration", "fresh", "proven"]
    assert store_of(workspace).markers("leases") == {}
    check_whole(workspace)
    assert plan_prune(workspace, survey(workspace)).steps == ()


def test_what_is_held_stays_until_it_is_released(workspace: Workspace) -> None:
    fill(workspace)
    do(workspace, plan_hold(workspace, "expired1", "incident 7"))
    with pytest.raises(Refused, match="already held: incident 7"):
        plan_hold(workspace, "expired1")
    with pytest.raises(BadUsage, match="there is no backup"):
        plan_hold(workspace, "nothing")
    rows, _damaged = list_backups(workspace)
    assert {one["id"]: one["held"] for one in rows if one["held"] is not None} == {"expired1": "incident 7"}
    assert {one["class"] for one in rows} == {"full", "pre-migration"}
    prune(workspace).raise_if_failed()
    assert "expired1" in store_of(workspace).ids()
    do(workspace, plan_release(workspace, "expired1"))
    assert holds(store_of(workspace)) == {}
    with pytest.raises(Refused, match="not held"):
        plan_release(workspace, "expired1")
    prune(workspace).raise_if_failed()
    assert "expired1" not in store_of(workspace).ids()
    check_whole(workspace)


@pytest.mark.parametrize("event", ["held", "proven", "in use", "being verified", "hold unreadable"])
def test_what_changed_since_it_was_shown_makes_it_refuse(workspace: Workspace, event: str) -> None:
    fill(workspace)
    plan = plan_prune(workspace, survey(workspace))
    if event == "held":
        do(workspace, plan_hold(workspace, "expired2"))
    elif event == "hold unreadable":
        store_of(workspace).put_marker("holds", "expired2", b"\xff")
    elif event == "proven":
        proved(workspace, "proven", "not proven")
        proved(workspace, "expired2")
    elif event == "being verified":
        workspace.journal().begin(plan_verify(workspace, ["expired2"]), "not needed")
    else:
        reading = Step("fetch", "Fetch", Call("a:b"), reads=("expired2",))
        workspace.journal().begin(Plan("drill", "Drill", (reading,)), "not needed")
    outcome = run(plan, workspace, workspace.journal(), approval="--yes")
    with pytest.raises(Refused, match="expired2 must be kept now"):
        outcome.raise_if_failed()
    assert len(store_of(workspace).ids()) == 5
    assert store_of(workspace).markers("leases") == {}


@pytest.mark.parametrize("harm", ["damaged", "newer", "unreadable"])
def test_nothing_goes_while_a_manifest_cannot_be_read(workspace: Workspace, harm: str) -> None:
    fill(workspace)
    plan = plan_prune(workspace, survey(workspace))
    path = workspace.store_root / "manifests" / "fresh.json"
    if harm == "unreadable":  # as after an error of the disk, and for root too
        path.unlink()
        path.mkdir()
    else:
        path.write_text(json.dumps({"version": 99}) if harm == "newer" else path.read_text()[:-40])
    before = digests(workspace)
    with pytest.raises(Refused, match="fresh"):
        survey(workspace)
    with pytest.raises(Refused, match="fresh"):
        run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    assert (len(store_of(workspace).ids()), digests(workspace)) == (5, before)


def test_a_backup_from_the_future_stops_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(workspace)
    plan = plan_prune(workspace, survey(workspace))
    monkeypatch.setattr("tabsync.kernel.clock.now", lambda: NOW - 100 * DAY)
    with pytest.raises(Refused, match="fresh was taken"):
        survey(workspace)
    with pytest.raises(Refused, match="fresh was taken"):
        run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    assert len(store_of(workspace).ids()) == 5


class During(Quiet):
    """Does something as a step begins."""

    def __init__(self, key: str, what: Callable[[], object]) -> None:
        self.key, self.what = key, what

    def step_started(self, number: int, total: int, step: Step) -> None:
        if step.key == self.key:
            self.what()


def test_two_prunes_at_once_the_second_is_refused(workspace: Workspace) -> None:
    fill(workspace)
    second = plan_prune(workspace, survey(workspace))
    refusals = []

    def another() -> None:
        with pytest.raises(Refused, match=r"backup prune by .* uses store:.*:prune since"):
            run(second, workspace, workspace.journal(), approval="--yes")
        # Somebody with another ledger is kept out by the store's lease.
        other = replace(workspace, ledger_url=f"sqlite:///{workspace.home / 'other.sqlite'}", _open={})
        refusals.append(run(second, other, other.journal(), approval="--yes").error)
        other.close()
        with pytest.raises(Refused, match="another prune runs on this store"):
            survey(workspace)
        with pytest.raises(Refused, match="another prune runs on this store"):
            do(workspace, plan_hold(workspace, "fresh"))

    first = plan_prune(workspace, survey(workspace))
    run(first, workspace, workspace.journal(), During("forget", another), approval="--yes").raise_if_failed()
    assert [type(error) for error in refusals] == [Refused]
    assert len(store_of(workspace).ids()) == 3
    assert holds(store_of(workspace)) == {}


def test_a_stale_lease_is_taken_over_and_its_holder_notices(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace)

    def slept_too_long() -> None:
        monkeypatch.setattr("tabsync.kernel.clock.now", lambda: NOW + timedelta(hours=1))
        release_lease(store_of(workspace), take_lease(store_of(workspace)).token)

    plan = plan_prune(workspace, survey(workspace))
    outcome = run(plan, workspace, workspace.journal(), During("forget", slept_too_long), approval="--yes")
    with pytest.raises(FailedPartway, match="lost its lease"):
        outcome.raise_if_failed()
    assert len(store_of(workspace).ids()) == 5


def test_a_long_prune_renews_its_lease(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(workspace)
    store.prepare()
    mine = take_lease(store)
    for minutes in range(1, 60, 4):
        monkeypatch.setattr("tabsync.kernel.clock.now", lambda minutes=minutes: NOW + timedelta(minutes=minutes))
        keep_lease(store, mine.token)
        with pytest.raises(Refused):
            take_lease(store)
    assert len(store.markers("leases")) == 1
    release_lease(store, mine.token)
    assert store.markers("leases") == {}


@pytest.mark.parametrize("commit", ["before the sweep", "after the prune"])
def test_a_backup_taken_between_mark_and_sweep_keeps_its_objects(
    workspace: Workspace, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It stores the very bytes that only the backups just pruned had: old objects that nobody names any more.
    fill(workspace)
    store, real = store_of(workspace), LocalStore.delete_object
    staged: list[StoredFile] = []

    def as_it_sweeps(self: LocalStore, digest: str, before: datetime) -> bool:
        if not staged:
            for content in (b"orders 1", b"orders 2"):
                staged.append(stored(store, content, datetime.now(UTC)))
            if commit == "before the sweep":
                fabricate(store, "meanwhile", NOW, b"orders 1", b"orders 2")
        return real(self, digest, before)

    monkeypatch.setattr(LocalStore, "delete_object", as_it_sweeps)
    prune(workspace).raise_if_failed()
    assert {one.digest for one in staged} <= digests(workspace)
    check_whole(workspace)


@pytest.mark.parametrize("moment", ["before lease", "after lease", "after forget", "after collect", "after give_back"])
def test_killed_in_between_it_goes_on_where_it_was(workspace: Workspace, directory: Path, moment: str) -> None:
    fill(workspace)
    names = ("home", "store_root", "manual_path", "conninfo", "ledger_url")
    (directory / "workspace.json").write_text(json.dumps({name: str(getattr(workspace, name)) for name in names}))
    command = [sys.executable, "-m", "tests.drills.pruned", str(directory / "workspace.json"), *moment.split()]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    check_whole(workspace)
    done_already = moment in ("after forget", "after collect", "after give_back")
    assert len(store_of(workspace).ids()) == (3 if done_already else 5)
    for name, content in store_of(workspace).markers("leases").items():  # ten minutes later
        lease = json.loads(content) | {"expires_at": "2026-01-01T00:00:00+00:00"}
        (workspace.store_root / "leases" / f"{name}.json").write_text(json.dumps(lease))
    prune(workspace).raise_if_failed()
    check_whole(workspace)
    assert len(store_of(workspace).ids()) == 3
    assert len(digests(workspace)) == 5
    # What found nothing to do needs no lease, so it doesn't take the stale one over either.
    assert moment == "after collect" or store_of(workspace).markers("leases") == {}


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("call", ["delete_manifest", "delete_object"])
def test_a_store_that_cannot_be_written_in_the_middle(
    workspace: Workspace, call: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace)
    for content in (b"rubbish 1", b"rubbish 2"):
        stored(store_of(workspace), content, NOW - 9 * DAY)
    real, calls = Path.unlink, []

    def failing(self: Path, missing_ok: bool = False) -> None:
        if self.parent.name == "manifests" if call == "delete_manifest" else "objects" in self.parts:
            calls.append(self)
            if len(calls) == number:
                raise OSError(30, "Read-only file system")
        real(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", failing)
    outcome = prune(workspace)
    monkeypatch.undo()
    if call == "delete_manifest" and number > 2:
        assert outcome.error is None
    else:
        assert isinstance(outcome.error, FailedPartway)
        assert "Read-only file system" in outcome.error.fact
        of = "2 expired backups" if call == "delete_manifest" else "4 unused objects"
        assert f"{number - 1} of {of}" in outcome.error.fact
    check_whole(workspace)
    prune(workspace).raise_if_failed()
    check_whole(workspace)
    assert (len(store_of(workspace).ids()), len(digests(workspace))) == (3, 5)


def test_a_real_database_its_drill_and_its_prune(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = workspaces(tabsync_database())
    first = str(drill(workspace).data["backup"])
    run_sql(workspace.conninfo, "delete from {}", "audit_logs")
    second = str(drill(workspace).data["backup"])
    later = datetime.now(UTC) + 100 * DAY
    monkeypatch.setattr("tabsync.kernel.clock.now", lambda: later)
    outcome = prune(workspace)
    outcome.raise_if_failed()
    assert outcome.results["forget"] == {"deleted": [first]}
    assert outcome.results["collect"]["objects"] >= 1
    check_whole(workspace)
    monkeypatch.undo()
    assert drill(workspace, second).data["verdict"]["content"] == "identical"


def test_a_drill_whose_backup_is_pruned_by_another_machine_fails_by_name(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    backup = str(drill(workspace).data["backup"])

    def prunes() -> None:
        store_of(workspace).delete_manifest(backup)
        for one in store_of(workspace).objects():
            store_of(workspace).object_path(one.digest).unlink()

    for step in ("fetch", "restore"):
        plan = plan_drill(workspace, load(workspace.manual_path), backup if step == "fetch" else None)
        backup = str(plan.steps[0].arguments["backup"])
        error = run_drill(workspace, plan, During(step, prunes)).data["error"]
        assert backup in error["fact"]


def test_a_dump_that_fails_is_no_backup_and_counts_for_nothing(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = workspaces(tabsync_database())
    old = str(drill(workspace).data["backup"])
    plan = plan_take_full(workspace)
    monkeypatch.setattr("tabsync.copies.dumps.pg_dump.LOCK_WAIT", 200)
    with psycopg.connect(workspace.conninfo) as migration:
        migration.execute("lock table users in access exclusive mode")
        outcome = run(plan, workspace, workspace.journal())
    assert isinstance(outcome.error, TabsyncError)
    seen = survey(workspace)
    assert [(one["id"], one["keep"]) for one in seen.backups] == [(old, True)]


def test_the_commands(workspace: Workspace, directory: Path) -> None:
    fill(workspace)
    (directory / "tabsync.toml").write_text(f'home = "{workspace.home}"\nstore = "{workspace.store_root}"\n')
    shown = tabsync(directory, "backup", "prune")
    assert shown.code == 0
    assert "2 of 5 backups have expired" in shown.out
    assert "kept by the provider (Supabase)" in shown.out
    assert "Nothing was changed" in shown.out
    refused = tabsync(directory, "backup", "prune", "--apply")
    assert (refused.code, "--yes" in refused.err) == (4, True)
    plan = tabsync(directory, "backup", "prune", "--dry-run", "--json").json
    assert [step["key"] for step in plan["steps"]] == ["lease", "forget", "collect", "give_back"]
    assert (plan["risk"], plan["confirm"]) == ("destructive", "shop")
    assert tabsync(directory, "backup", "prune", "--grace", "soon").code == 2
    held = tabsync(directory, "backup", "hold", "expired1", "--reason", "incident 7", "--json")
    assert held.json["backup"] == "expired1"
    assert tabsync(directory, "backup", "hold", "expired1").code == 4
    assert "held" in tabsync(directory, "backup", "list").out
    done = tabsync(directory, "backup", "prune", "--apply", "--yes", "--json")
    assert (done.code, done.json["deleted"]) == (0, ["expired2"])
    assert tabsync(directory, "backup", "release", "expired1").code == 0
    assert "expired1" in tabsync(directory, "backup", "prune", "--apply", "--yes").out
    assert "Nothing to delete" in tabsync(directory, "backup", "prune").out
    check_whole(workspace)


def test_a_schedule_that_does_not_say_apply_deletes_nothing(workspace: Workspace) -> None:
    fill(workspace)
    done = start(workspace, "backup prune", {})
    assert done.outcome is None
    assert len(store_of(workspace).ids()) == 5
    with pytest.raises(Refused, match="destructive"):
        start(workspace, "backup prune", {"apply": True})
    done = start(workspace, "backup prune", {"apply": True}, approval="schedule")
    assert done.ran.error is None
    assert len(store_of(workspace).ids()) < 5
