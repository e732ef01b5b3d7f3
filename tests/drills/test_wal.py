"""WAL into the store and out again: received from a slot, pushed, fetched; what dies in between loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.archive import fetch, header_of, store_file
from tabsync.backups.wal.contents import read_archive
from tabsync.backups.wal.names import partial_stored, segment_named
from tabsync.backups.wal.push import fetch_into, push
from tabsync.backups.wal.receive import plan_receive, spool_directory
from tabsync.backups.wal.slot import check_slot, plan_drop
from tabsync.backups.wal.spool import Spool
from tabsync.backups.wal.status import wal_status
from tabsync.backups.wal.window import cluster_of
from tabsync.kernel.errors import FailedPartway, ProblemFound, Refused
from tabsync.kernel.runner import Outcome, run
from tabsync.manual.load import load
from tabsync.postgres import embedded
from tabsync.procedures.status import look
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.system.processes import is_alive
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.postgres.cli.program import TABSYNC
from tests.servers import running_server
from tests.sessions import connect
from tests.vanish import background, identifier, stored, until
from tests.whole import whole

QUARTER = timedelta(minutes=15)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source() -> Iterator[embedded.Server]:
    with running_server("wal", wal_level="replica", max_wal_senders="5", synchronous_commit="on") as server:
        run_sql(server.conninfo(), "create table {} (id int)", "t")
        yield server


@pytest.fixture
def workspace(source: embedded.Server, workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    workspace = workspaces(source.conninfo())
    yield workspace
    with connect(workspace.conninfo, "tests") as connection:
        connection.execute(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where active_pid is not null"
        )
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def receive(workspace: Workspace, **given: object) -> Outcome:
    return run(plan_receive(workspace, once=True, **given), workspace, workspace.journal())  # type: ignore[arg-type]


def switch(workspace: Workspace) -> str:
    """Finish a WAL segment; returns its name."""
    run_sql(workspace.conninfo, "insert into {} values (1)", "t")
    with connect(workspace.conninfo, "tests") as connection:
        row = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        return str(row[0])


def test_a_round_brings_what_there_is_and_the_next_one_the_rest(workspace: Workspace) -> None:
    receive(workspace).raise_if_failed()
    first = switch(workspace)
    outcome = receive(workspace)
    outcome.raise_if_failed()
    whole, partial = stored(workspace)
    assert first in whole
    assert len(partial) == 1  # older ones go when there is more
    assert outcome.results["receive"]["until"] is not None
    assert not list(spool_directory(workspace, "tabsync_wal").glob("?" * 24))
    evidence = workspace.ledger()
    assert evidence is not None


def test_what_comes_back_is_what_was_there(workspace: Workspace, source: embedded.Server, tmp_path: Path) -> None:
    receive(workspace).raise_if_failed()
    name = switch(workspace)
    run_sql(workspace.conninfo, "insert into {} values (3)", "t")
    receive(workspace).raise_if_failed()
    system = identifier(workspace)
    assert fetch(workspace.store(), system, name, tmp_path / name)
    assert (tmp_path / name).read_bytes() == (source.data / "pg_wal" / name).read_bytes()
    _whole, (partial,) = stored(workspace)
    open_one = partial_stored(partial)
    assert open_one is not None
    assert not fetch(workspace.store(), system, open_one.segment, tmp_path / "open")
    assert fetch(workspace.store(), system, open_one.segment, tmp_path / "open", partial=True)
    content = (tmp_path / "open").read_bytes()
    assert len(content) == header_of(tmp_path / "open").size
    there = (source.data / "pg_wal" / open_one.segment).read_bytes()
    assert content[: open_one.bytes - 8192] == there[: open_one.bytes - 8192]


def test_killed_it_loses_nothing_and_sigterm_stores_the_rest(workspace: Workspace) -> None:
    process = background(workspace)
    try:
        until(lambda: stored(workspace)[1])
        process.kill()
        process.wait()
        missed = [switch(workspace) for _ in range(2)]
        process = background(workspace)
        until(lambda: set(missed) <= set(stored(workspace)[0]))
        run_sql(workspace.conninfo, "insert into {} values (2)", "t")
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
    whole = [segment_named(name, 16 << 20).number for name in stored(workspace)[0]]
    assert whole == list(range(whole[0], whole[-1] + 1))
    marked = [one for one in psutil.process_iter() if "pg_receivewal" in one.name()]
    assert [one for one in marked if one.ppid() in (os.getpid(), 1) and is_alive(one)] == []


@whole
def test_it_takes_up_again_when_the_connection_is_cut(workspace: Workspace) -> None:
    process = background(workspace)
    try:
        until(lambda: stored(workspace)[1])
        with connect(workspace.conninfo, "tests") as connection:
            connection.execute("select pg_terminate_backend(active_pid) from pg_replication_slots")
        name = switch(workspace)
        until(lambda: name in stored(workspace)[0])
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_a_store_that_is_gone_is_an_alarm_and_what_waits_goes_later(workspace: Workspace) -> None:
    receive(workspace).raise_if_failed()
    place = workspace.store_root / "wal"
    away = place.with_name("away")
    place.rename(away)
    place.write_text("not a directory")
    name = switch(workspace)
    outcome = receive(workspace)
    assert isinstance(outcome.error, FailedPartway)
    assert "WAL can't be written to the store" in outcome.error.fact
    assert (spool_directory(workspace, "tabsync_wal") / name).exists()
    page = look(workspace, load(workspace.manual_path))
    assert "WAL archive: WAL can't be written to the store" in page["verdict"]["sentence"]
    assert page["next"][0]["command"] == "tabsync wal status"
    place.unlink()
    away.rename(place)
    receive(workspace).raise_if_failed()
    assert name in stored(workspace)[0]


def test_a_slot_over_its_budget_is_told_and_dropped_by_policy(workspace: Workspace) -> None:
    with connect(workspace.conninfo, "tests") as connection:
        connection.execute("select pg_create_physical_replication_slot('tabsync_wal', true)")
    switch(workspace)
    found = wal_status(workspace, slot="tabsync_wal", budget=1 << 20, behind=QUARTER)
    told = [one["what"] for one in found["problems"]]
    assert any("keeps" in one and "more than 1.0 MB" in one for one in told)
    assert any("no WAL is being received" in one for one in told)
    outcome = receive(workspace, drop_over=1 << 10)
    assert outcome.error is not None
    assert "dropped: the archive has a gap" in str(outcome.error)
    with connect(workspace.conninfo, "tests") as connection:
        assert check_slot(connection, "tabsync_wal") is None


def test_dropping_a_slot_is_destructive_and_named(workspace: Workspace) -> None:
    receive(workspace).raise_if_failed()
    plan = plan_drop(workspace, "tabsync_wal")
    assert (plan.risk.value, plan.confirm) == ("destructive", "tabsync_wal")
    run(plan, workspace, workspace.journal()).raise_if_failed()


def test_status_is_good_only_with_a_base_and_without_gaps(workspace: Workspace) -> None:
    def problems() -> list[str]:
        found = wal_status(workspace, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)
        assert not found["ok"]
        return [one["what"] for one in found["problems"]]

    assert any("WAL is not archived" in one for one in problems())
    receive(workspace).raise_if_failed()
    assert any("no physical backup" in one for one in problems())
    run(plan_take_physical(workspace), workspace, workspace.journal()).raise_if_failed()
    names = [switch(workspace) for _ in range(3)]
    receive(workspace).raise_if_failed()
    assert problems() == ["slot tabsync_wal is inactive: no WAL is being received"]
    assert "WAL archive" not in [one["metric"] for one in look(workspace, load(workspace.manual_path))["alerts"]]
    system = identifier(workspace)
    (base,) = cluster_of(workspace.store(), system).bases
    workspace.store().delete_file(f"wal/{system}/{names[1][:16]}/{names[1]}.zst")
    assert any(f"1 segments from {names[1]}" in one for one in problems())
    (shorter,) = cluster_of(workspace.store(), system).bases
    assert shorter.reach.end < base.reach.end


def test_an_unreachable_server_is_unseen_and_never_fine(
    workspace: Workspace, workspaces: Callable[..., Workspace]
) -> None:
    gone = workspaces("host=/nonexistent dbname=x")
    gone.store().prepare()
    found = wal_status(gone, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)
    assert not found["ok"]
    assert found["unseen"]


def test_push_is_idempotent_and_refuses_other_content(
    workspace: Workspace, source: embedded.Server, tmp_path: Path
) -> None:
    name = switch(workspace)
    workspace.store().prepare()
    original = source.data / "pg_wal" / name
    assert push(workspace, original) is True
    assert push(workspace, original) is False
    (workspace.home / "wal" / f"pushed-{identifier(workspace)}").unlink()
    assert push(workspace, original) is False  # by its content
    other = tmp_path / name
    content = bytearray(original.read_bytes())
    content[9000] ^= 1
    other.write_bytes(content)
    for _ in range(2):  # PostgreSQL tries again, and must not be told that it is done
        with pytest.raises(Refused, match="already has a different"):
            push(workspace, other)
    target = tmp_path / "RECOVERYXLOG"
    assert fetch_into(workspace, name, target, identifier(workspace))
    assert target.read_bytes() == original.read_bytes()
    assert not fetch_into(workspace, "0000000100000FFF00000001", target, identifier(workspace))


def test_a_file_that_is_not_what_its_name_says_is_not_archived(
    workspace: Workspace, source: embedded.Server, tmp_path: Path
) -> None:
    name = switch(workspace)
    wrong = tmp_path / "0000000100000000000000FE"
    shutil.copyfile(source.data / "pg_wal" / name, wrong)
    with pytest.raises(ProblemFound, match="the content of"):
        push(workspace, wrong)
    wrong.write_bytes(b"")
    with pytest.raises(ProblemFound, match="has no header of a WAL segment"):
        push(workspace, wrong)


def test_the_commands_speak_postgresqls_exit_codes(
    workspace: Workspace, source: embedded.Server, tmp_path: Path
) -> None:
    name = switch(workspace)
    environment = os.environ | {"TABSYNC_HOME": str(workspace.home), "TABSYNC_STORE": str(workspace.store_root)}

    def code(*words: str) -> int:
        command = [str(TABSYNC), "wal", *words]
        return subprocess.run(command, cwd=source.data, env=environment, capture_output=True, timeout=30).returncode

    workspace.store().prepare()
    assert code("push", f"pg_wal/{name}") == 0
    assert code("fetch", name, str(tmp_path / "there")) == 0
    assert code("fetch", "0000000100000FFF00000001", str(tmp_path / "none")) == 1
    (workspace.store_root / "wal" / identifier(workspace) / name[:16] / f"{name}.zst").chmod(0o600)
    (workspace.store_root / "wal" / identifier(workspace) / name[:16] / f"{name}.zst").write_bytes(b"rot")
    assert code("fetch", name, str(tmp_path / "rotten")) == 200
    assert code("fetch", "--mistyped", name, str(tmp_path / "there")) == 200
    assert code("fetch", name) == 200


def test_a_process_that_died_while_storing_knows_its_own(workspace: Workspace, source: embedded.Server) -> None:
    name, system = switch(workspace), identifier(workspace)
    workspace.store().prepare()
    memo = workspace.home / "memo"
    assert store_file(workspace.store(), system, source.data / "pg_wal" / name, memo)
    archive = read_archive(workspace.store(), system, 16 << 20)
    assert archive.newest == segment_named(name, 16 << 20)
    assert not store_file(workspace.store(), system, source.data / "pg_wal" / name, memo)


def test_a_second_receiver_is_refused(workspace: Workspace) -> None:
    from tabsync.system.claims import claim

    receive(workspace).raise_if_failed()
    held = claim(spool_directory(workspace, "tabsync_wal"))
    assert held is not None
    outcome = receive(workspace)
    held.release()
    assert isinstance(outcome.error, Refused)


def test_prune_lets_go_of_wal_that_nothing_can_be_replayed_from(
    workspace: Workspace, workspaces: Callable[..., Workspace], tmp_path: Path
) -> None:
    manual = tmp_path / "manual.md"
    text = PROFILE_MANUAL.read_text()
    manual.write_text(
        text.replace("| WAL, at Supabase | Continuous | 7 days | Supabase |", "| WAL | Continuous | 1 ms | Local |")
    )
    mine = workspaces(workspace.conninfo, manual)
    receive(mine).raise_if_failed()
    early = switch(mine)
    for _ in range(3):  # the second is the base that the window begins with, when the third is there
        run(plan_take_physical(mine), mine, mine.journal()).raise_if_failed()
    receive(mine).raise_if_failed()
    assert early in stored(mine)[0]
    found = survey(mine)
    assert found.wal_files > 0
    outcome = run(plan_prune(mine, found), mine, mine.journal(), approval="--yes")
    outcome.raise_if_failed()
    assert early not in stored(mine)[0]
    kept = [one for one in mine.store().manifests()[0] if one.kind == "physical"]
    assert len(kept) == 1
    (window,) = cluster_of(mine.store(), identifier(mine)).windows
    assert window[0] == kept[0].taken_at
    assert survey(mine).wal_files == 0


def test_a_segment_that_is_finished_in_this_moment_is_no_alarm(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "7", workspace.store())
    gone = tmp_path / "000000010000000000000003.partial"
    monkeypatch.setattr(Spool, "open_segment", lambda _self: gone)
    assert spool.flush(datetime.now(UTC), "", 16 << 20) is None


def test_what_was_received_from_another_cluster_is_not_stored_as_this_ones(
    workspace: Workspace, source: embedded.Server, tmp_path: Path
) -> None:
    name = switch(workspace)
    shutil.copyfile(source.data / "pg_wal" / name, tmp_path / name)
    workspace.store().prepare()
    with pytest.raises(ProblemFound, match=f"belongs to cluster {identifier(workspace)}, but the server is 7"):
        Spool(tmp_path, "7", workspace.store()).send(tmp_path / name)
    assert (tmp_path / name).exists()
    assert list(workspace.store().files("wal")) == []


def test_a_segment_that_is_stored_in_this_moment_no_longer_waits(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "7", workspace.store())
    there, gone = (tmp_path / f"00000001000000000000000{number}" for number in (1, 2))
    there.write_bytes(b"x" * 5)
    monkeypatch.setattr(Spool, "finished", lambda _self: [there, gone])
    assert spool.bytes() == 5
