"""The server is killed while it is dumped from, and while it is restored into: what is said, and what is left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psutil
import pytest

from tabsync.backups.restore.in_place import unfinished
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import CannotConnect, FailedPartway
from tabsync.kernel.runner import Quiet, run
from tabsync.kernel.step import Step
from tabsync.postgres import embedded
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.servers import running_server

TABLES = 12


class Killing(Quiet):
    """Kills a server at the first progress of a step."""

    def __init__(self, server: embedded.Server, key: str) -> None:
        self.server, self.key, self.open, self.killed = server, key, "", False

    def step_started(self, number: int, total: int, step: Step) -> None:
        self.open = step.key

    def progress(self, done: float, total: float, unit: str) -> None:
        postmaster = embedded.postmaster(self.server.directory)
        if self.open == self.key and postmaster is not None and not self.killed:
            self.killed = True
            for one in [postmaster, *postmaster.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()


@pytest.fixture
def server() -> Iterator[embedded.Server]:
    with running_server("dies", fsync="off") as one:
        for number in range(TABLES):
            rows = f"select g as id, md5(g::text) as text from generate_series(1, {20000 + number}) g"
            run_sql(one.conninfo(), f"create table {{}} as {rows}", f"t{number}")
        yield one


@pytest.fixture
def workspace(server: embedded.Server, workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(server.conninfo())


def test_killed_while_it_is_dumped(workspace: Workspace, server: embedded.Server) -> None:
    killing = Killing(server, "dump")
    outcome = run(plan_take_full(workspace), workspace, workspace.journal(), killing)
    assert killing.killed
    assert isinstance(outcome.error, (FailedPartway, CannotConnect))
    assert workspace.store().ids() == []
    assert not list((workspace.store_root / "staging").glob("*"))
    embedded.start(server)
    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()


def test_killed_while_it_is_restored_into(workspace: Workspace, server: embedded.Server) -> None:
    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()
    killing = Killing(server, "restore")
    plan = plan_restore_new(workspace, "latest", "half")
    outcome = run(plan, workspace, workspace.journal(), killing)
    assert killing.killed
    assert isinstance(outcome.error, (FailedPartway, CannotConnect))
    embedded.start(server)
    assert unfinished(workspace) == ["half"]  # nothing half-made bears the name of something whole
    again = run(plan_restore_new(workspace, "latest", "whole"), workspace, workspace.journal())
    again.raise_if_failed()
    assert len(again.results["verify"]["tables"]) == TABLES
    assert not list(workspace.scratch().glob("*"))
