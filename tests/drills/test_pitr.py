"""Back to a moment: the right backup is chosen, the right commits are there, and nothing half-done stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tabsync.backups.pitr import clusters
from tabsync.backups.pitr.target import Target
from tabsync.backups.restore.leftovers import sweep
from tabsync.backups.restore.to_time import plan_to_time
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.archive import store_file
from tabsync.backups.wal.contents import read_archive
from tabsync.backups.wal.receive import plan_receive
from tabsync.backups.wal.window import window
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import NotAllowed, ProblemFound, Refused
from tabsync.kernel.runner import run
from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.stores.keys import Keys
from tabsync.workspace import Workspace
from tests.servers import running_server
from tests.sessions import connect
from tests.whole import whole

ROOT = Path(__file__).parents[2]


@dataclass
class Story:
    """A cluster's life: rows, when each was committed and by which transaction, and the backups between them."""

    workspace: Workspace
    server: embedded.Server
    after: dict[int, datetime] = field(default_factory=dict)
    lsn: dict[int, str] = field(default_factory=dict)
    xid: dict[int, int] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)

    def insert(self, number: int) -> None:
        with connect(self.server.conninfo(), "tests") as connection:
            query = "insert into t values (%s) returning pg_current_xact_id()::text::int"
            self.xid[number] = connection.execute(query, [number]).fetchall()[0][0]
            query = "select clock_timestamp(), pg_current_wal_lsn()::text"
            self.after[number], self.lsn[number] = connection.execute(query).fetchall()[0]
        time.sleep(0.02)

    def base(self, **given: str) -> None:
        outcome = run(plan_take_physical(self.workspace, **given), self.workspace, self.workspace.journal())  # type: ignore[arg-type]
        outcome.raise_if_failed()
        self.bases.append(outcome.results["commit"]["backup"])

    def receive(self) -> None:
        time.sleep(1.1)  # the mark in the store is cut to the second
        run(plan_receive(self.workspace, once=True), self.workspace, self.workspace.journal()).raise_if_failed()


@pytest.fixture(scope="module")
def story(place: Path) -> Iterator[Story]:
    home = place / "pitr"
    settings = {"wal_level": "replica", "max_wal_senders": "5", "synchronous_commit": "on", "summarize_wal": "on"}
    with running_server("pitr", **settings) as server:
        ledger = f"sqlite:///{home / 'ledger.sqlite'}"
        workspace = Workspace(home, server.conninfo(), place / "pitr-store", PROFILE_MANUAL, ledger)
        with connect(server.conninfo(), "tests") as connection:
            connection.execute("create table t (id int)")
            connection.execute("create role clerk login password 'secret of the clerk'")
            connection.execute("grant select on t to clerk")
        told = Story(workspace, server)
        told.receive()
        told.base()
        told.insert(1)
        told.insert(2)
        told.base(parent="latest")
        told.insert(3)
        told.receive()
        yield told
        workspace.close()


@pytest.fixture
def workspace(story: Story) -> Iterator[Workspace]:
    yield story.workspace
    for one in clusters.restored(story.workspace):
        run(
            clusters.plan_drop(story.workspace, one["name"]),
            story.workspace,
            story.workspace.journal(),
            approval="--yes",
        )
    assert list((story.workspace.servers() / "restored").glob("*")) == []


def at(moment: datetime) -> Target:
    return Target("time", iso(moment))


def restored(workspace: Workspace, target: Target, **given: object) -> dict[str, object]:
    """Recover; gives what was reached, the rows and the connection."""
    plan = plan_to_time(workspace, target, **given)  # type: ignore[arg-type]
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    conninfo = outcome.results["keep"]["conninfo"]
    with connect(conninfo, "tests") as connection:
        rows = [row[0] for row in connection.execute("select id from t order by 1").fetchall()]
    facts = outcome.results["recover"]
    backup = plan.steps[0].arguments["backup"]
    return {"rows": rows, "conninfo": conninfo, "base": backup, "reached": facts["reached"], "why": facts["why"]}


@whole
def test_between_two_commits_from_the_backup_before_them(workspace: Workspace, story: Story) -> None:
    found = restored(workspace, at(story.after[1]))
    assert (found["rows"], found["reached"], found["base"]) == ([1], True, story.bases[0])
    assert "before commit" in str(found["why"])


def test_a_quiet_moment_after_the_last_commit_from_a_chain(workspace: Workspace, story: Story) -> None:
    found = restored(workspace, at(story.after[3] + timedelta(milliseconds=5)))
    assert (found["rows"], found["reached"], found["base"]) == ([1, 2, 3], True, story.bases[1])
    assert "no transaction was committed" in str(found["why"])


@whole
def test_to_a_position_and_to_just_before_a_transaction(workspace: Workspace, story: Story) -> None:
    assert restored(workspace, Target("lsn", story.lsn[1]))["rows"] == [1]
    before = restored(workspace, Target("xid", str(story.xid[3]), before=True))
    assert (before["rows"], before["base"], before["reached"]) == ([1, 2], story.bases[1], True)


def test_a_transaction_that_is_not_there_is_told(workspace: Workspace, story: Story) -> None:
    with pytest.raises(ProblemFound, match="can't be read from the store"):
        restored(workspace, Target("xid", str(story.xid[3] + 1000)))
    assert clusters.restored(workspace) == []


def test_moments_outside_of_the_window_are_refused_with_the_window(workspace: Workspace, story: Story) -> None:
    for moment in (story.after[1] - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)):
        with pytest.raises(Refused, match="recovery is possible from 20"):
            plan_to_time(workspace, at(moment))
    found = window(workspace)
    (cluster,) = found["clusters"]
    assert [one["backup"] for one in cluster["bases"]] == story.bases
    assert len(cluster["windows"]) == 1
    assert cluster["gaps"] == []


def test_the_copy_is_its_own(workspace: Workspace, story: Story) -> None:
    found = restored(workspace, Target("latest", ""))
    conninfo = str(found["conninfo"])
    with connect(conninfo, "tests") as connection:
        settings: dict[str, str] = dict(connection.execute("select name, setting from pg_settings").fetchall())
        connection.execute("insert into t values (9)")  # it was promoted
    assert (settings["archive_mode"], settings["restore_command"], settings["fsync"]) == ("off", "", "on")
    port = conninfo.split("port=")[1].split()[0]
    clerk = f"host=127.0.0.1 port={port} user=clerk password='secret of the clerk' dbname=postgres"
    with connect(clerk, "tests") as connection:
        assert connection.execute("select count(*) from t").fetchall() == [(4,)]
    assert "secret" not in conninfo


def test_paused_it_can_be_looked_at_and_is_not_opened(workspace: Workspace, story: Story) -> None:
    found = restored(workspace, at(story.after[1]), pause=True)
    with connect(str(found["conninfo"]), "tests") as connection:
        assert connection.execute("select pg_is_in_recovery(), pg_get_wal_replay_pause_state()").fetchall() == [
            (True, "paused")
        ]
        connection.execute("select pg_wal_replay_resume()")
        deadline = time.monotonic() + 10
        while connection.execute("select pg_is_in_recovery()").fetchall() == [(True,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_killed_nothing_half_done_is_shown_or_left(workspace: Workspace, story: Story) -> None:
    target = json_of(story)
    code = (
        "import json, os, signal, sys\n"
        "from pathlib import Path\n"
        "from tabsync.backups.restore.to_time import plan_to_time\n"
        "from tabsync.backups.pitr.target import Target\n"
        "from tabsync.kernel.runner import run\n"
        "from tabsync.profiles.tabsync import PROFILE_MANUAL\n"
        "from tabsync.workspace import Workspace\n"
        "home, conninfo, store, ledger, moment, step = sys.argv[1:]\n"
        "w = Workspace(Path(home), conninfo, Path(store), PROFILE_MANUAL, ledger)\n"
        "def boundary(when, key):\n"
        "    if (when, key) == ('after', step):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "run(plan_to_time(w, Target('time', moment)), w, w.journal(), boundary=boundary)\n"
    )
    for step in ("fetch", "recover", "check"):
        done = subprocess.run([sys.executable, "-c", code, *target, step], cwd=ROOT, capture_output=True, timeout=60)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert clusters.restored(workspace) == []
        sweep(workspace)
        assert list((workspace.servers() / "restored").glob("*")) == []
        assert list(clusters.entries(workspace)) == []
    place = str(workspace.servers())
    running = (" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
    assert [line for line in running if place in line] == []


def json_of(story: Story) -> list[str]:
    workspace = story.workspace
    return [
        str(workspace.home),
        workspace.conninfo,
        str(workspace.store_root),
        workspace.ledger_url,
        iso(story.after[1]),
    ]


def test_into_a_directory_of_ones_own(workspace: Workspace, story: Story, directory: Path) -> None:
    (directory / "full").mkdir()
    (directory / "full" / "of").touch()
    with pytest.raises(Refused, match="not empty"):
        plan_to_time(workspace, at(story.after[1]), into=directory / "full")
    found = restored(workspace, at(story.after[1]), into=directory / "new", name="mine")
    assert found["rows"] == [1]
    (one,) = clusters.restored(workspace)
    assert (one["name"], one["running"], one["directory"]) == ("mine", True, str(directory / "new"))
    with pytest.raises(Refused, match="a restored cluster mine already exists"):
        plan_to_time(workspace, at(story.after[1]), name="mine")
    assert os.path.exists(directory / "new" / "data")  # noqa: PTH110


def test_damage_in_the_wal_ends_it_loudly(workspace: Workspace, story: Story) -> None:
    names = sorted((workspace.store_root / "wal").glob("*/*/*.zst"))
    harmed = [path for path in names if "partial" not in path.name][-1]
    content = harmed.read_bytes()
    harmed.chmod(0o600)
    harmed.write_bytes(content[: len(content) // 2] + b"x" + content[len(content) // 2 + 1 :])
    try:
        with pytest.raises(ProblemFound, match="corrupt"):
            restored(workspace, at(story.after[3]))
    finally:
        harmed.write_bytes(content)
    assert clusters.restored(workspace) == []


@pytest.mark.parametrize("major", [15, 18])
@whole
def test_other_versions_and_a_store_that_is_encrypted(
    major: int, databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases(major)
    sealed = seal(workspaces(conninfo), directory)
    taker = replace(
        sealed, keys=replace(sealed.keys, identity=None), _open={}
    )  # the host that takes backups can't read them
    with connect(conninfo, "tests") as connection:
        connection.execute("create table t as select 1 as id")
    try:
        run(plan_take_physical(taker), taker, taker.journal()).raise_if_failed()
        run(plan_receive(taker, slot="tabsync_other", once=True), taker, taker.journal()).raise_if_failed()
        with connect(conninfo, "tests") as connection:
            connection.execute("insert into t values (2)")
        time.sleep(1.1)
        run(plan_receive(taker, slot="tabsync_other", once=True), taker, taker.journal()).raise_if_failed()
    finally:
        with connect(conninfo, "tests") as connection:
            connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    assert all(path.read_bytes().startswith(b"age-encryption") for path in (taker.store_root / "wal").glob("*/*/*"))
    with pytest.raises(NotAllowed):
        plan_to_time(taker, Target("latest", ""))
    assert restored(sealed, Target("latest", ""))["rows"] == [1, 2]
    (one,) = clusters.restored(sealed)
    run(clusters.plan_drop(sealed, one["name"]), sealed, sealed.journal(), approval="--yes").raise_if_failed()
    taker.close()
    sealed.close()


def seal(workspace: Workspace, directory: Path) -> Workspace:
    """The workspace with a store that is encrypted, and the identity that opens it."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    (directory / "identity").write_text(str(identity))
    (directory / "identity").chmod(0o600)
    keys = Keys(recipients=(str(identity.to_public()),), identity=directory / "identity")
    return replace(workspace, keys=keys, _open={})


def test_where_wal_may_be_stored_and_not_read_a_history_hinders_nobody(
    workspaces: Callable[..., Workspace], directory: Path
) -> None:
    sealed = seal(workspaces("host=/nonexistent"), directory)
    sealed.store().prepare()
    (directory / "00000002.history").write_text("1\t0/3000130\tno recovery target specified\n")
    store_file(sealed.store(), "7", directory / "00000002.history", directory / "memo")
    assert read_archive(sealed.store(), "7", 16 << 20).histories == {2: ((1, 0x3000130),)}
    taker = replace(sealed, keys=replace(sealed.keys, identity=None), _open={})
    assert read_archive(taker.store(), "7", 16 << 20).histories == {}


@pytest.mark.parametrize("remote", ["az", pytest.param("s3", marks=whole)])
def test_out_of_an_object_store(
    remote: str, address: str, databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(18)
    workspace = replace(workspaces(conninfo), store_url=address, _open={})
    with connect(conninfo, "tests") as connection:
        connection.execute("create table t as select 1 as id")
    try:
        run(plan_take_physical(workspace), workspace, workspace.journal()).raise_if_failed()
        for number in (2, 3):
            run(
                plan_receive(workspace, slot="tabsync_far", once=True), workspace, workspace.journal()
            ).raise_if_failed()
            with connect(conninfo, "tests") as connection:
                connection.execute("insert into t values (%s)", [number])
                connection.execute("select pg_switch_wal()")
        time.sleep(1.1)
        receive_far(workspace)
    finally:
        with connect(conninfo, "tests") as connection:
            connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    assert restored(workspace, Target("latest", ""))["rows"] == [1, 2, 3]
    (one,) = clusters.restored(workspace)
    run(clusters.plan_drop(workspace, one["name"]), workspace, workspace.journal(), approval="--yes").raise_if_failed()
    workspace.close()


def receive_far(workspace: Workspace) -> None:
    plan = plan_receive(workspace, slot="tabsync_far", once=True)
    run(plan, workspace, workspace.journal()).raise_if_failed()
