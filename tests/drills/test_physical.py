"""Physical backups end to end: taken, laid out again, started; chains of increments; what is refused."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyrage
import pytest
from psycopg import sql

from tabsync.backups.physical import pack
from tabsync.backups.physical.base import chain
from tabsync.backups.physical.lay_out import lay_out
from tabsync.backups.restore.leftovers import sweep
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.verify import plan_verify
from tabsync.kernel.errors import FailedPartway, NotAllowed, ProblemFound, Refused
from tabsync.kernel.runner import run
from tabsync.postgres import embedded
from tabsync.stores.keys import Keys
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest
from tabsync.system.account import server_account
from tabsync.system.claims import claim
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_drill import injure, left_behind
from tests.servers import running_server
from tests.sessions import connect


@pytest.fixture(scope="module")
def source() -> Iterator[embedded.Server]:
    settings = {"wal_level": "replica", "max_wal_senders": "5", "summarize_wal": "on"}
    with running_server("physical", **settings) as server:
        spaces = server.directory.parent / "space"
        spaces.mkdir(mode=0o700)
        server_account().own(spaces)
        with connect(server.conninfo(), "tests") as connection:
            connection.execute(
                "create table large as select g as id, md5(g::text) as text from generate_series(1, 80000) g"
            )
            connection.execute("vacuum (freeze) large")
            connection.execute("create table small (id int)")
        yield server


@pytest.fixture
def workspace(source: embedded.Server, workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(source.conninfo())


def take(workspace: Workspace, parent: str | None = None) -> Manifest:
    outcome = run(plan_take_physical(workspace, parent=parent), workspace, workspace.journal())
    outcome.raise_if_failed()
    return workspace.store().manifest(outcome.results["commit"]["backup"])


def brought_back(workspace: Workspace, backup: Manifest, directory: Path, question: str) -> object:
    """Lay a backup out, start a server in it, ask one question, take the server away."""
    held = claim(directory / "back")
    assert held is not None
    manifests = workspace.store().manifests()[0]
    data = lay_out(workspace.store(), chain(backup, manifests), held.directory, lambda *_: None)
    assert data == held.directory / "data"
    server = embedded.opened(held.directory, settings=embedded.SCRATCH_SETTINGS)
    held.directory.chmod(0o711)
    server_account().own(server.data)
    if (held.directory / "tablespaces").exists():
        (held.directory / "tablespaces").chmod(0o711)
        server_account().own(held.directory / "tablespaces")
    original = Path(dict(part.split("=", 1) for part in workspace.conninfo.split())["passfile"])
    (held.directory / "pgpass").write_text(original.read_text())
    (held.directory / "pgpass").chmod(0o600)
    try:
        embedded.start(server)
        with connect(server.conninfo(), "tests") as connection:
            answered = connection.execute(sql.SQL(question)).fetchone()
            assert answered is not None
            return answered[0]
    finally:
        embedded.destroy(server)
        held.release()


def test_it_comes_back_by_itself(workspace: Workspace, directory: Path) -> None:
    backup = take(workspace)
    assert backup.kind == "physical"
    assert backup.physical["superuser"] == "postgres"
    assert left_behind(workspace) == []
    assert brought_back(workspace, backup, directory, "select count(*) from large") == 80000


def test_increments_and_tablespaces_come_back_combined(
    workspace: Workspace, directory: Path, source: embedded.Server
) -> None:
    space = source.directory.parent / "space"
    with connect(source.conninfo(), "tests") as connection:
        connection.execute(sql.SQL("create tablespace elsewhere location {}").format(str(space)))
        connection.execute("create table away tablespace elsewhere as select g as id from generate_series(1, 500) g")
    try:
        full = take(workspace)
        run_sql(source.conninfo(), "insert into {} select g from generate_series(501, 700) g", "away")
        first = take(workspace, "latest")
        run_sql(source.conninfo(), "delete from {} where id <= 100", "away")
        second = take(workspace, "latest")
        run_sql(source.conninfo(), "drop table {}", "away")
    finally:
        run_sql(source.conninfo(), "drop table if exists {}", "away")
        run_sql(source.conninfo(), "drop tablespace {}", "elsewhere")
    assert [one.physical.get("parent") for one in (full, first, second)] == ["", full.id, first.id]
    assert [one["name"] for one in second.physical["tablespaces"]] == ["elsewhere"]
    assert first.stored_bytes < full.stored_bytes / 2
    assert brought_back(workspace, second, directory, "select count(*) || ' ' || max(id) from away") == "600 700"


def test_what_did_not_change_is_not_stored_again(workspace: Workspace, source: embedded.Server) -> None:
    run_sql(source.conninfo(), "checkpoint")
    first, second = take(workspace), take(workspace)
    shared = {file.digest for file in first.files} & {file.digest for file in second.files}
    assert sum(file.bytes for file in second.files if file.digest in shared) > second.stored_bytes / 3


def test_nothing_that_is_known_is_packed_again(
    workspace: Workspace, source: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece is known by what is in it, before it is compressed; what compresses it may have changed meanwhile."""
    run_sql(source.conninfo(), "checkpoint")
    first = take(workspace)
    packed: list[int] = []
    compress = pack._compress

    def counted(content: memoryview, path: Path) -> str:
        packed.append(len(content))
        return compress(content, path)

    monkeypatch.setattr(pack, "_compress", counted)
    monkeypatch.setattr(pack, "_LEVEL", 3)
    second = take(workspace)
    contents = second.physical["contents"]
    assert sorted(contents) == [file.name for file in second.files if ".tar." in file.name]
    with connect(source.conninfo(), "tests") as connection:
        row = connection.execute("select pg_relation_size('large')").fetchone()
    assert row is not None and sum(packed) < second.physical["bytes"] - row[0]
    large = {name for name, digest in contents.items() if digest in first.physical["contents"].values()}
    shared = {file.digest for file in first.files}
    assert {file.digest for file in second.files if file.name in large} <= shared


@pytest.mark.parametrize("found_by", ["verify", "chance"])
def test_a_piece_that_rotted_is_stored_again(
    workspace: Workspace, found_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "_VERIFIED", 1 if found_by == "chance" else 1 << 33)
    first = take(workspace)
    largest = max((file for file in first.files if ".tar." in file.name), key=lambda file: file.bytes)
    injure(LocalStore(workspace.store_root), largest.digest, "flip")
    if found_by == "verify":
        verified = run(plan_verify(workspace, [first.id]), workspace, workspace.journal())
        assert isinstance(verified.error, ProblemFound)
    second = take(workspace)
    assert list(workspace.store().damaged(second)) == []
    assert list(workspace.store().damaged(first)) == []  # the same object, put right


def test_a_piece_that_was_deleted_is_stored_again(workspace: Workspace) -> None:
    first = take(workspace)
    largest = max((file for file in first.files if ".tar." in file.name), key=lambda file: file.bytes)
    injure(LocalStore(workspace.store_root), largest.digest, "delete")
    assert list(workspace.store().damaged(take(workspace))) == []


def test_a_piece_that_is_counted_on_outlives_a_prune_of_its_backup(workspace: Workspace, directory: Path) -> None:
    """Its first backup goes, and what nobody names is collected, between the moment it is found and the manifest."""
    store = LocalStore(workspace.store_root)
    first = take(workspace)
    long_ago = time.time() - 10 * 24 * 3600
    for one in store.objects():
        os.utime(store.object_path(one.digest), (long_ago, long_ago))

    def prune(when: str, key: str) -> None:
        if f"{when} {key}" == "before commit":
            store.delete_manifest(first.id)
            before = datetime.now(UTC) - timedelta(days=1)
            assert [one for one in list(store.objects()) if store.delete_object(one.digest, before)]

    outcome = run(plan_take_physical(workspace), workspace, workspace.journal(), boundary=prune)
    outcome.raise_if_failed()
    second = store.manifest(outcome.results["commit"]["backup"])
    assert {file.digest for file in first.files} & {file.digest for file in second.files}
    assert list(store.damaged(second)) == []
    assert brought_back(workspace, second, directory, "select count(*) from large") == 80000


def test_encrypted_pieces_are_counted_on_for_the_same_recipients_only(
    workspace: Workspace, source: embedded.Server, directory: Path
) -> None:
    """age encrypts the same piece differently each time, so what is there already must be found by what is in it."""
    run_sql(source.conninfo(), "checkpoint")
    (directory / "identity").write_text(str(mine := pyrage.x25519.Identity.generate()))
    sealed = replace(workspace, keys=Keys((str(mine.to_public()),), identity=directory / "identity"), _open={})
    others = replace(workspace, keys=Keys((str(pyrage.x25519.Identity.generate().to_public()),)), _open={})
    plain, first, second, theirs = take(workspace), take(sealed), take(sealed), take(others)
    objects = [{file.object for file in one.files} for one in (plain, first, second, theirs)]
    assert len(objects[1] & objects[2]) > len(objects[1]) / 2
    assert not objects[0] & objects[1] and not objects[2] & objects[3]
    assert brought_back(sealed, second, directory, "select count(*) from large") == 80000


def test_a_backup_of_before_pieces_were_known_comes_back(workspace: Workspace, directory: Path) -> None:
    old = take(workspace)
    facts = {key: value for key, value in old.physical.items() if key != "contents"}
    workspace.store().delete_manifest(old.id)
    workspace.store().commit(replace(old, physical=facts))
    assert workspace.store().manifest(old.id).physical == facts
    assert take(workspace).physical["contents"]
    assert brought_back(workspace, old, directory, "select count(*) from large") == 80000


def test_a_store_that_dies_in_the_middle_ends_it_at_once(workspace: Workspace) -> None:
    class Dying(LocalStore):
        def adopt(self, path: Path, digest: str) -> None:
            raise FailedPartway("the store is gone", "look at the network")

    workspace._open[f"store {workspace.store_root}"] = Dying(workspace.store_root)
    outcome = run(plan_take_physical(workspace), workspace, workspace.journal())
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.fact == "the store is gone"
    assert left_behind(workspace) == []


def test_harm_to_a_piece_is_found_before_a_server_sees_it(workspace: Workspace, directory: Path) -> None:
    backup = take(workspace)
    file = next(file for file in backup.files if file.name.endswith("000002.zst"))
    injure(LocalStore(workspace.store_root), file.digest, "flip")
    with pytest.raises(ProblemFound, match=file.digest[:12]):
        brought_back(workspace, backup, directory, "select 1")


def test_a_chain_with_a_missing_link_is_refused(workspace: Workspace) -> None:
    full = take(workspace)
    increment = take(workspace, full.id)
    workspace.store().delete_manifest(full.id)
    with pytest.raises(ProblemFound, match=full.id):
        chain(increment, workspace.store().manifests()[0])


def test_a_managed_server_is_refused_with_a_hint(workspace: Workspace, source: embedded.Server) -> None:
    run_sql(source.conninfo(), "create role {} superuser", "supabase_admin")
    try:
        with pytest.raises(Refused, match="Supabase") as refused:
            plan_take_physical(workspace)
    finally:
        run_sql(source.conninfo(), "drop role {}", "supabase_admin")
    assert "point-in-time" in refused.value.hint


def test_the_right_is_asked_for_beforehand(source: embedded.Server, workspaces: Callable[..., Workspace]) -> None:
    run_sql(source.conninfo(), "create role {} login password 'x'", "clerk")
    try:
        given = f"{source.conninfo()} user=clerk password=x"
        with pytest.raises(NotAllowed, match="clerk lacks the REPLICATION"):
            plan_take_physical(workspaces(given))
    finally:
        run_sql(source.conninfo(), "drop role {}", "clerk")


def test_increments_need_summaries(
    workspaces: Callable[..., Workspace], servers: Callable[[int], embedded.Server]
) -> None:
    with pytest.raises(Refused, match="summarize_wal is off"):
        plan_take_physical(workspaces(servers(17).conninfo()), parent="latest")
    with pytest.raises(Refused, match="PostgreSQL 15 has no incremental"):
        plan_take_physical(workspaces(servers(15).conninfo()), parent="latest")


@pytest.mark.parametrize("moment", ["during base", "after base", "before commit"])
def test_killed_nothing_of_it_is_listed_or_left(workspace: Workspace, moment: str) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tabsync.backups.take_physical import plan_take_physical\n"
        "from tabsync.kernel.runner import Quiet, run\n"
        "from tabsync.profiles.tabsync import PROFILE_MANUAL\n"
        "from tabsync.workspace import Workspace\n"
        "home, conninfo, store, ledger, moment = sys.argv[1:]\n"
        "w = Workspace(Path(home), conninfo, Path(store), PROFILE_MANUAL, ledger)\n"
        "def die(when, key):\n"
        "    if f'{when} {key}' == moment:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "class During(Quiet):\n"
        "    def progress(self, done, total, unit):\n"
        "        die('during', 'base')\n"
        "run(plan_take_physical(w), w, w.journal(), During(), boundary=die)\n"
    )
    given = [str(workspace.home), workspace.conninfo, str(workspace.store_root), workspace.ledger_url, moment]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert workspace.store().ids() == []
    sweep(workspace)
    assert left_behind(workspace) == []
    with connect(workspace.conninfo, "tests") as connection:  # the slot that pinned the WAL went with its session
        deadline = time.monotonic() + 10
        while connection.execute("select count(*) from pg_replication_slots").fetchall() != [(0,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert take(workspace).kind == "physical"


def test_a_server_that_dies_in_the_middle_leaves_no_backup(
    workspaces: Callable[..., Workspace], directory: Path
) -> None:
    """The stream breaks off after a few pieces are in the store: nothing is listed, and nothing stays staged."""
    with running_server("dying", wal_level="replica", max_wal_senders="5") as source:
        rows = "select g as id, md5(g::text) || md5((g + 1)::text) as text from generate_series(1, 900000) g"
        run_sql(source.conninfo(), f"create table {{}} as {rows}", "large")
        workspace = workspaces(source.conninfo())

        class Killing(LocalStore):
            def adopt(self, path: Path, digest: str) -> None:
                super().adopt(path, digest)
                postmaster = embedded.postmaster(source.directory)
                if postmaster is not None:
                    for one in [postmaster, *postmaster.children(recursive=True)]:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            one.kill()

        workspace._open[f"store {workspace.store_root}"] = Killing(workspace.store_root)
        outcome = run(plan_take_physical(workspace), workspace, workspace.journal())
        assert isinstance(outcome.error, FailedPartway)
        assert "no backup was recorded" in outcome.error.fact
        assert list(LocalStore(workspace.store_root).objects())
        assert LocalStore(workspace.store_root).ids() == []
        assert left_behind(workspace) == []
        embedded.start(source)
        del workspace._open[f"store {workspace.store_root}"]
        assert list(workspace.store().damaged(take(workspace))) == []
