"""WAL in a second store: whole and in order whatever happens, and a cluster comes back out of that store alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import zstandard
from click.testing import CliRunner

from tabsync.backups.copy import plan_copy
from tabsync.backups.pitr import clusters
from tabsync.backups.pitr.target import Target
from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.restore.leftovers import sweep
from tabsync.backups.restore.to_time import plan_to_time
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.contents import read_archive
from tabsync.backups.wal.copy import plan_wal_copy
from tabsync.backups.wal.names import partial_stored, segment_named, whole_stored
from tabsync.backups.wal.receive import plan_receive
from tabsync.backups.wal.window import cluster_of
from tabsync.cli.tree import program
from tabsync.kernel import clock
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.stores.local import LocalStore
from tabsync.stores.store import Store
from tabsync.system.claims import claim
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_pitr import seal
from tests.servers import running_server
from tests.sessions import connect
from tests.vanish import identifier
from tests.whole import whole

ROOT = Path(__file__).parents[2]
SIZE = 16 << 20


@pytest.fixture(scope="module")
def source() -> Iterator[embedded.Server]:
    with running_server("copied", wal_level="replica", max_wal_senders="5", synchronous_commit="on") as server:
        run_sql(server.conninfo(), "create table {} (id int)", "t")
        yield server


@pytest.fixture
def workspace(source: embedded.Server, workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    run_sql(source.conninfo(), "truncate {}", "t")
    yield workspaces(source.conninfo())
    with connect(source.conninfo(), "tests") as connection:
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def carried_out(workspace: Workspace, plan: Plan) -> Outcome:
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome


def receive(workspace: Workspace) -> None:
    time.sleep(1.1)  # the mark in the store is cut to the second
    carried_out(workspace, plan_receive(workspace, once=True))


def base(workspace: Workspace) -> str:
    return str(carried_out(workspace, plan_take_physical(workspace)).results["commit"]["backup"])


def write(workspace: Workspace, *rows: int) -> None:
    """Insert rows, each of them the last one of its segment."""
    with connect(workspace.conninfo, "tests") as connection:
        for row in rows:
            connection.execute("insert into t values (%s)", [row])
            connection.execute("select pg_switch_wal()")


def names(store: Store) -> list[str]:
    return sorted(one.name for one in store.list_files("wal"))


def wholes(store: Store) -> list[int]:
    """The numbers of the whole segments in a store."""
    found = filter(None, map(whole_stored, names(store)))
    return sorted(segment_named(name, SIZE).number for name in found)


def copy_wal(workspace: Workspace, to: str) -> dict[str, object]:
    found: dict[str, object] = carried_out(workspace, plan_wal_copy(workspace, to)).results["copy"]
    return found


@pytest.mark.parametrize("second", ["directory", pytest.param("az", marks=whole)])
@whole
def test_the_cluster_comes_back_out_of_the_second_store_alone(
    workspace: Workspace, directory: Path, second: str, request: pytest.FixtureRequest
) -> None:
    to = str(directory / "second") if second == "directory" else request.getfixturevalue("address")
    receive(workspace)
    base(workspace)
    write(workspace, 1, 2)
    receive(workspace)
    carried_out(workspace, plan_copy(workspace, "latest", to))
    first = copy_wal(workspace, to)
    there = workspace.store(to)
    assert names(there) == [name for name in names(workspace.store()) if name in names(there)]
    run_sql(workspace.conninfo, "insert into {} values (3)", "t")
    receive(workspace)
    again = copy_wal(workspace, to)
    assert 0 < int(str(again["files"])) < int(str(first["files"]))  # only what wasn't there
    assert copy_wal(workspace, to)["files"] == 0
    system = identifier(workspace)
    (near,), (far,) = (cluster_of(store, system).windows for store in (workspace.store(), there))
    assert near == far
    assert cluster_of(there, system).gaps == []
    shutil.rmtree(workspace.store_root)
    given = {"store_root": directory / "second"} if second == "directory" else {"store_url": to}
    alone = replace(workspace, **given, _open={})
    outcome = carried_out(alone, plan_to_time(alone, Target("latest", "")))
    try:
        with connect(outcome.results["keep"]["conninfo"], "tests") as connection:
            assert connection.execute("select id from t order by 1").fetchall() == [(1,), (2,), (3,)]
    finally:
        for one in clusters.restored(alone):
            run(clusters.plan_drop(alone, one["name"]), alone, alone.journal(), approval="--yes").raise_if_failed()
        alone.close()


def test_encrypted_it_is_copied_by_who_cannot_read_it(workspace: Workspace, directory: Path) -> None:
    sealed = seal(workspace, directory)
    taker = replace(sealed, keys=replace(sealed.keys, identity=None), _open={})
    base(taker)
    write(taker, 1)
    receive(taker)
    second = directory / "second"
    for _ in range(2):
        copy_wal(taker, str(second))
    assert all(path.read_bytes().startswith(b"age-encryption") for path in second.glob("wal/*/*/*"))
    for path in second.glob("wal/*/*/*.zst.age"):
        if "partial" not in path.name:
            assert path.read_bytes() == (workspace.store_root / path.relative_to(second)).read_bytes()
    carried_out(taker, plan_copy(taker, "latest", str(second)))
    alone = replace(sealed, store_root=second, _open={})
    outcome = carried_out(alone, plan_to_time(alone, Target("latest", "")))
    with connect(outcome.results["keep"]["conninfo"], "tests") as connection:
        assert connection.execute("select id from t").fetchall() == [(1,)]
    for one in clusters.restored(alone):
        run(clusters.plan_drop(alone, one["name"]), alone, alone.journal(), approval="--yes").raise_if_failed()
    for used in (sealed, taker, alone):
        used.close()


def test_killed_it_leaves_no_gap_and_promises_nothing_that_is_not_there(workspace: Workspace, directory: Path) -> None:
    taken = base(workspace)
    write(workspace, *range(6))
    receive(workspace)
    second = directory / "second"
    carried_out(workspace, plan_copy(workspace, taken, str(second)))
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tabsync.backups.wal import copy as wal\n"
        "from tabsync.kernel.runner import Quiet, run\n"
        "from tabsync.profiles.tabsync import PROFILE_MANUAL\n"
        "from tabsync.workspace import Workspace\n"
        "home, conninfo, store, ledger, to = sys.argv[1:]\n"
        "w = Workspace(Path(home), conninfo, Path(store), PROFILE_MANUAL, ledger)\n"
        "class Kill(Quiet):\n"
        "    def progress(self, done, total, unit):\n"
        "        if done == 3:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "run(wal.plan_wal_copy(w, to), w, w.journal(), Kill())\n"
    )
    given = [workspace.home, workspace.conninfo, workspace.store_root, workspace.ledger_url, second]
    done = subprocess.run([sys.executable, "-c", code, *map(str, given)], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    there, here, system = LocalStore(second), wholes(workspace.store()), identifier(workspace)
    assert 0 < len(wholes(there)) < len(here)
    assert wholes(there) == here[here.index(wholes(there)[0]) :][: len(wholes(there))]
    cluster = cluster_of(there, system)
    assert cluster.gaps == []
    ((begins, ends),) = cluster.windows  # it doesn't take the moment of copying for the end of the WAL
    assert begins == ends == there.manifest(taken).taken_at
    copy_wal(workspace, str(second))
    assert cluster_of(there, system).windows == cluster_of(workspace.store(), system).windows
    marks = [name for name in names(there) if partial_stored(name)]
    assert len(marks) == 1
    sweep(workspace)
    assert list((workspace.home / "staging").glob("*")) == []


def test_without_a_receiver_it_ends_where_it_ends_in_the_first_store(
    workspace: Workspace, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a segment that was just stored, a receiver may soon say more exactly until when it is everything."""
    taken = base(workspace)
    write(workspace, 1)
    receive(workspace)
    for path in workspace.store_root.glob("wal/*/*/*.partial.zst"):
        path.unlink()
    for path in workspace.store_root.glob("wal/*/*/*.zst"):
        os.utime(path, (time.time() + 3600,) * 2)  # another moment than that of copying
    second = directory / "second"
    carried_out(workspace, plan_copy(workspace, taken, str(second)))
    copy_wal(workspace, str(second))
    (one,) = cluster_of(LocalStore(second), identifier(workspace)).bases
    assert one.ends == one.begins
    later = now() + timedelta(hours=1, minutes=5)
    monkeypatch.setattr(clock, "now", lambda: later)
    copy_wal(workspace, str(second))
    (one,) = cluster_of(LocalStore(second), identifier(workspace)).bases
    (near,) = cluster_of(workspace.store(), identifier(workspace)).bases
    assert one.reach.until is not None
    assert near.reach.until is not None
    assert one.reach.until == near.reach.until.replace(microsecond=0) > now() + timedelta(minutes=58)


@whole
def test_two_servers_are_told_from_each_other(workspace: Workspace, directory: Path) -> None:
    base(workspace)
    write(workspace, 1, 2)
    receive(workspace)
    second = directory / "second"
    copy_wal(workspace, str(second))
    write(workspace, 3)
    receive(workspace)
    newest = max(path for path in second.glob("wal/*/*/*.zst") if whole_stored(path.name))
    content = newest.read_bytes()
    for other in (b"another server's", zstandard.ZstdDecompressor().decompress(content)[:-1] + b"x"):
        newest.chmod(0o600)
        newest.write_bytes(zstandard.ZstdCompressor(1, write_checksum=True).compress(other))
        before = names(LocalStore(second))
        with pytest.raises(Refused, match=f"second already has a different {whole_stored(newest.name)}"):
            copy_wal(workspace, str(second))
        assert names(LocalStore(second)) == before
    newest.write_bytes(content[:-9] + b"x" + content[-8:])
    with pytest.raises(ProblemFound, match=r"second is corrupt"):
        copy_wal(workspace, str(second))
    # The same, packed by another version of zstd.
    packed = zstandard.ZstdCompressor(9, write_checksum=True).compress(zstandard.ZstdDecompressor().decompress(content))
    newest.write_bytes(packed)
    assert int(str(copy_wal(workspace, str(second))["files"])) > 0


class Rotting(LocalStore):
    """A disk that loses a bit of what is written to it."""

    def create_file(self, name: str, path: Path) -> bool:
        made = super().create_file(name, path)
        target = self.root / name
        target.chmod(0o600)
        content = bytearray(target.read_bytes())
        content[-1] ^= 1
        target.write_bytes(content)
        return made


def test_what_does_not_come_back_as_it_was_is_not_left_there(workspace: Workspace, directory: Path) -> None:
    base(workspace)
    write(workspace, 1, 2)
    receive(workspace)
    second = directory / "second"
    plan = plan_wal_copy(workspace, str(second))
    workspace._open[f"store {second}"] = Rotting(second)
    with pytest.raises(FailedPartway, match="differs from what was sent when it is read back"):
        carried_out(workspace, plan)
    assert wholes(LocalStore(second)) == []


def test_a_damaged_segment_is_told_and_the_others_are_copied(workspace: Workspace, directory: Path) -> None:
    base(workspace)
    write(workspace, 1, 2, 3)
    receive(workspace)
    harmed = sorted(path for path in workspace.store_root.glob("wal/*/*/*.zst") if whole_stored(path.name))[1]
    content = harmed.read_bytes()
    harmed.chmod(0o600)
    harmed.write_bytes(content[: len(content) // 2] + b"x" + content[len(content) // 2 + 1 :])
    with pytest.raises(ProblemFound, match=f"{harmed.name} in .* is corrupt; the other files were copied"):
        copy_wal(workspace, str(directory / "second"))
    here, there = wholes(workspace.store()), wholes(LocalStore(directory / "second"))
    assert set(here) - set(there) == {segment_named(whole_stored(harmed.name), SIZE).number}


@whole
def test_prune_works_there_as_it_does_here_and_what_it_deleted_is_not_copied_again(
    workspace: Workspace, directory: Path, tmp_path: Path
) -> None:
    text = PROFILE_MANUAL.read_text()
    short = text.replace("| WAL, at Supabase | Continuous | 7 days | Supabase |", "| WAL | Continuous | 1 ms | Local |")
    (tmp_path / "manual.md").write_text(short)
    second = directory / "second"
    write(workspace, 1)
    receive(workspace)
    for number in range(3):  # the second is the base that the window begins with, when the third is there
        carried_out(workspace, plan_copy(workspace, base(workspace), str(second)))
        write(workspace, number)
        receive(workspace)
    copy_wal(workspace, str(second))
    there = replace(workspace, store_root=second, manual_path=tmp_path / "manual.md", _open={})
    before, found = wholes(there.store()), survey(there)
    assert found.wal_files > 0
    run(plan_prune(there, found), there, there.journal(), approval="--yes").raise_if_failed()
    assert wholes(there.store()) == before[len(before) - len(wholes(there.store())) :] != before
    (kept,) = [one for one in there.store().manifests()[0] if one.physical]
    (window,) = cluster_of(there.store(), identifier(workspace)).windows
    assert window[0] == kept.taken_at
    after = names(there.store())
    assert copy_wal(workspace, str(second))["files"] == 0
    assert names(there.store()) == after
    there.close()


def test_only_one_copies_to_a_store_at_a_time(workspace: Workspace, directory: Path) -> None:
    base(workspace)
    write(workspace, 1)
    receive(workspace)
    plan = plan_wal_copy(workspace, str(directory / "second"))
    other = claim(workspace.home / "staging" / plan.steps[0].arguments["staging"])
    assert other is not None
    with pytest.raises(Refused, match="another process is using"):
        carried_out(workspace, plan)
    assert names(LocalStore(directory / "second")) == []
    other.release()
    carried_out(workspace, plan)
    assert list((workspace.home / "staging").glob("*")) == []


class Ordered(LocalStore):
    """Notes in which order files come."""

    order: ClassVar[list[str]] = []

    def create_file(self, name: str, path: Path) -> bool:
        self.order.append(name.removeprefix("wal/7/").removesuffix(".zst"))
        return super().create_file(name, path)


def test_timelines_and_labels_come_along_oldest_first(workspaces: Callable[..., Workspace], directory: Path) -> None:
    workspace, store = workspaces(""), LocalStore(directory / "store")
    segments = [
        f"0000000{timeline}000000000000000{number}" for timeline, number in ((2, 4), (1, 3), (1, 4), (2, 5), (1, 5))
    ]
    partial = f"{segments[3][:-1]}6.00002000.20261122T181500Z.partial"
    label = f"{segments[1]}.00000028.backup"
    fork = b"1\t0/4000060\tno recovery target specified\n"
    for name in [*segments, partial, label]:
        put(store, f"{name[:16]}/{name}", name.encode(), directory)
    put(store, "history/00000002.history", fork, directory)
    second = directory / "second"
    workspace._open[f"store {second}"] = Ordered(second)
    Ordered.order.clear()
    copy_wal(workspace, str(second))
    first, rest = Ordered.order[:2], [name.rpartition("/")[2] for name in Ordered.order[2:]]
    assert set(first) == {"history/00000002.history", f"{label[:16]}/{label}"}
    assert rest == [segments[1], segments[2], segments[0], segments[4], segments[3], partial]
    near, far = (read_archive(one, "7", SIZE) for one in (store, LocalStore(second)))
    assert (near.whole.keys(), near.partial, near.histories) == (far.whole.keys(), far.partial, far.histories)


def put(store: LocalStore, name: str, content: bytes, directory: Path) -> None:
    (directory / "packed").write_bytes(zstandard.ZstdCompressor().compress(content))
    store.create_file(f"wal/7/{name}.zst", directory / "packed")


def test_what_makes_no_sense_is_refused(workspace: Workspace, directory: Path) -> None:
    workspace.store().prepare()
    with pytest.raises(BadUsage, match="there is no WAL in"):
        plan_wal_copy(workspace, str(directory / "second"))
    with pytest.raises(BadUsage, match="are the same store"):
        plan_wal_copy(workspace, str(workspace.store_root))
    assert not (directory / "second").exists()


def test_the_command_shows_its_plan_and_what_it_did(workspace: Workspace, directory: Path) -> None:
    base(workspace)
    write(workspace, 1, 2)
    receive(workspace)
    config = directory / "tabsync.toml"
    config.write_text(f'store = "{workspace.store_root}"\nhome = "{workspace.home}"\n[stores]\nAway = "second"\n')
    asked = ["wal", "copy", "--config", str(config), "--to", "away"]
    shown = CliRunner().invoke(program(), [*asked, "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert f"cluster {identifier(workspace)}: " in shown.stdout
    assert not (directory / "second").exists()
    done = CliRunner().invoke(program(), [*asked, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    (cluster,) = told["clusters"]
    assert (told["version"], told["kind"], told["store"]) == (1, "wal copy", f"file://{directory / 'second'}")
    assert (cluster["missing"], cluster["backups"]) == (0, 0)
    near = cluster_of(workspace.store(), identifier(workspace)).bases[0].reach.until
    assert near is not None
    assert cluster["until"] == iso(near)
    again = CliRunner().invoke(program(), asked)
    assert "has all of it" in again.stdout
    assert "WAL can't be restored without a physical backup" in " ".join(again.stderr.split())
