"""kill -9 at every step boundary of a drill, and inside its long steps: nothing survives the next command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tabsync.backups.list import list_backups
from tabsync.cli.leftovers import delete_leftovers
from tabsync.ledger.runs import one_run, recent_runs
from tabsync.system.claims import MARK
from tabsync.workspace import Workspace
from tests.drills.test_drill import drill, left_behind
from tests.whole import WHOLE

STEPS = [
    "dump",
    "keep",
    "commit",
    "disaster",
    "fetch",
    "scratch",
    "restore",
    "answer",
    "round_trip",
    "rows",
    "orphans",
    "record",
    "tidy_scratch",
    "tidy_store",
]
BOUNDARIES = [(moment, step) for step in STEPS for moment in ("before", "after")]
if not WHOLE:  # after a step is before the next one, but for what the runner does itself between the two
    BOUNDARIES = [("before", STEPS[0]), *(("after", step) for step in STEPS[::2])]


@pytest.fixture
def workspace(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(tabsync_database())


def kill_a_drill(workspace: Workspace, directory: Path, moment: str, step: str) -> None:
    given = {
        name: str(getattr(workspace, name)) for name in ("home", "store_root", "manual_path", "conninfo", "ledger_url")
    }
    (directory / "workspace.json").write_text(json.dumps(given))
    command = [sys.executable, "-m", "tests.drills.killed", str(directory / "workspace.json"), moment, step]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr


def processes_for(directory: Path) -> list[int]:
    """Processes that were started for anything below a directory."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            mark = process.environ().get(MARK, "")
        except psutil.Error:
            continue
        if mark.startswith(str(directory)) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def test_the_boundaries_are_those_of_the_plan(workspace: Workspace) -> None:
    from tabsync.backups.drill.drill import plan_drill
    from tabsync.manual.load import load

    assert [step.key for step in plan_drill(workspace, load(workspace.manual_path)).steps] == STEPS


@pytest.mark.parametrize(("moment", "step"), BOUNDARIES, ids=lambda value: value)
def test_killed_at_a_boundary(workspace: Workspace, directory: Path, moment: str, step: str) -> None:
    kill_a_drill(workspace, directory, moment, step)
    check_aftermath(workspace, directory)
    (run,) = recent_runs(workspace.ledger())
    assert run["state"] == "interrupted"
    whole = one_run(workspace.ledger(), run["id"])
    assert whole is not None
    states = {one["key"]: one["state"] for one in whole["steps"]}
    done = STEPS.index(step) + (moment == "after")
    assert [key for key in STEPS if states[key] == "done"] == STEPS[:done]
    assert "running" not in states.values()
    backups, damaged = list_backups(workspace)
    assert (len(backups), damaged) == (1 if done > STEPS.index("commit") else 0, [])
    again = drill(workspace)
    assert again.data["verdict"]["content"] == "identical"


@pytest.mark.parametrize("step", ["dump", "restore", "round_trip"])
def test_killed_inside_a_step(workspace: Workspace, directory: Path, step: str) -> None:
    kill_a_drill(workspace, directory, "during", step)
    check_aftermath(workspace, directory)
    (run,) = recent_runs(workspace.ledger())
    whole = one_run(workspace.ledger(), run["id"])
    assert whole is not None
    assert [one["state"] for one in whole["steps"] if one["key"] == step] == ["interrupted"]
    assert drill(workspace).data["verdict"]["content"] == "identical"


def check_aftermath(workspace: Workspace, directory: Path) -> None:
    """What the next command, whichever it is, does first; then nothing of the dead drill may be left."""
    delete_leftovers(workspace)
    assert left_behind(workspace) == []
    assert processes_for(directory) == []
    assert list((workspace.home / "runs").glob("*")) == []
