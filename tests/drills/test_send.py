"""Files of a dump leave while pg_dump is at work, and no more is staged than three of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.take import plan_take
from tabsync.copies.dumps import upload as send
from tabsync.copies.dumps.upload import Sender
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.stores.local import LocalStore
from tabsync.system.consume import consumed, room_of
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.whole import whole

_MB = 1 << 20


class Far(LocalStore):
    """A store that is as slow as a thin line, and isn't on our disk."""

    @property
    def is_local(self) -> bool:
        return False

    def adopt(self, path: Path, digest: str) -> None:
        time.sleep(path.stat().st_size / (20 * _MB))
        super().adopt(path, digest)


class Broken(Far):
    """A store that dies with the second file."""

    def adopt(self, path: Path, digest: str) -> None:
        if list((self.root / "objects").glob("??/*")):
            raise FailedPartway("the store is gone", "look at the network")
        super().adopt(path, digest)


@pytest.fixture
def workspace(databases: Databases, workspaces: Callable[..., Workspace], request: pytest.FixtureRequest) -> Workspace:
    """Twelve tables of about two megabytes each that don't compress."""
    conninfo = databases(request.param if hasattr(request, "param") else 17)
    for number in range(12):
        rows = "select i, sha512(i::text::bytea) as b from generate_series(1, 20000) i"
        run_sql(conninfo, f"create table t{number} as {rows}")
    run_sql(conninfo, "analyze")
    return workspaces(conninfo)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Sender]:
    """The senders that were made, with no room to spare for small files."""
    made: list[Sender] = []
    monkeypatch.setattr(send, "_ROOM", 0)
    monkeypatch.setattr(send, "_LOOK_EVERY", 60)  # as on a machine that is too busy to look: the kernel stops pg_dump

    class Watched(Sender):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("tabsync.backups.take.Sender", Watched)
    return made


@pytest.mark.parametrize("workspace", [15, 17], indirect=True)
def test_never_more_is_staged_than_three_files(workspace: Workspace, watched: list[Sender]) -> None:
    away = workspace
    away._open[f"store {workspace.store_root}"] = Far(workspace.store_root)
    outcome = run(plan_take(away, "full", "manual"), away, away.journal())
    outcome.raise_if_failed()
    manifest = away.store().manifest(outcome.results["commit"]["backup"])
    sender = watched[0]
    assert len(sender.sent) >= 10  # the last ones may close as pg_dump ends
    whole = sum(sender._sizes.values())
    largest = sorted(sender._sizes.values())[-3:]  # two are open, and as much waits as the largest one holds
    # What is on its way is there twice while it is compressed, where pg_dump does nothing of it itself.
    twice = 1 if manifest.program["zstd"] else 2
    contents = sum(size for path, size in sender._sizes.items() if not send._DATA.fullmatch(path.name))
    assert sender.most_staged <= sum(largest) * twice + contents < whole
    manual = load(away.manual_path).model_copy(update={"key_tables": ()})
    report = run_drill(away, plan_drill(away, manual, manifest.id))
    assert report.data["verdict"]["content"] == "identical", report.data["error"]


def test_a_store_that_dies_ends_pg_dump_at_once(workspace: Workspace, watched: list[Sender]) -> None:
    workspace._open[f"store {workspace.store_root}"] = Broken(workspace.store_root)
    outcome = run(plan_take(workspace, "full", "manual"), workspace, workspace.journal())
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.fact == "the store is gone"
    assert workspace.store().ids() == []
    assert not [one for one in psutil.Process().children(recursive=True) if one.name() == "pg_dump"]
    assert not list((workspace.store_root / "staging").glob("*"))


@whole
def test_the_last_second_of_a_dump_is_not_left_out(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the sender sees all files close or none, the backup has all of them."""
    for pause in (0.001, 10.0):
        monkeypatch.setattr(send, "_LOOK_EVERY", pause)
        workspace._open[f"store {workspace.store_root}"] = Far(workspace.store_root)
        outcome = run(plan_take(workspace, "full", "manual"), workspace, workspace.journal())
        outcome.raise_if_failed()
        manifest = workspace.store().manifest(outcome.results["commit"]["backup"])
        assert {file.table for file in manifest.files} == {"", *(f"t{number}" for number in range(12))}
        assert list(workspace.store().damaged(manifest)) == []


def test_a_file_that_goes_gives_its_room_back_bit_by_bit(directory: Path) -> None:
    path, content = directory / "file", os.urandom(8 * _MB)
    path.write_bytes(content)
    read, rooms = b"", []
    for block in consumed(path, _MB):
        read += block
        rooms.append(room_of(path))
    assert read == content
    assert rooms == [(7 - number) * _MB for number in range(8)]
    assert path.stat().st_size == len(content)
