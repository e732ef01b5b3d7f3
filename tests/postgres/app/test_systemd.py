"""Units of systemd, as far as a container allows: a program of that name stands first in PATH.

This is about the words that systemctl and journalctl get, and what is made of their answers; it proves nothing of
systemd itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tabsync.kernel.errors import BadUsage, Exit, FailedPartway, NotAllowed, TabsyncError
from tabsync.providers.systemd import write_variable
from tests.postgres.app.acting import acted, looked, planned, text_of
from tests.postgres.app.conftest import Configured

PROGRAM = """#!{python}
import json, pathlib, sys
place = pathlib.Path({place!r})
state = json.loads((place / "state").read_text())
with (place / "argv").open("a") as file:
    file.write(json.dumps([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
if "journalctl" in sys.argv[0]:
    print(state["log"])
elif "restart" in sys.argv:
    if state["refuses"]:
        sys.stderr.write(state["refuses"] + "\\n")
        sys.exit(4)
    (place / "state").write_text(json.dumps(state | state["after"]))
else:
    for key in ("LoadState", "ActiveState", "SubState", "InvocationID"):
        print(key + "=" + state[key])
"""
TABLE = '[app.backend]\nkind = "systemd"\nunit = "shop.service"\ntimeout = 1\n'


@dataclass
class Manager:
    """What stands in for systemd."""

    place: Path

    def says(self, **changes: Any) -> None:
        (self.place / "state").write_text(json.dumps(json.loads((self.place / "state").read_text()) | changes))

    @property
    def argv(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.place / "argv").read_text().splitlines()]


@pytest.fixture
def manager(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    import sys

    state = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "InvocationID": "1", "refuses": ""}
    state |= {"after": {"InvocationID": "2"}, "log": "started\nerror: gateway password=canary"}  # type: ignore[dict-item]
    (directory / "state").write_text(json.dumps(state))
    for name in ("systemctl", "journalctl"):
        (directory / name).write_text(PROGRAM.format(python=sys.executable, place=str(directory)))
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return Manager(directory)


def test_a_restart_is_another_invocation(manager: Manager, configured: Configured) -> None:
    page = acted(configured(TABLE), "app restart", name="backend")
    assert ["systemctl", "--no-ask-password", "restart", "shop.service"] in manager.argv
    assert "shop.service is active (running)" in page.headline
    manager.says(after={})
    with pytest.raises(FailedPartway, match="not up again: it is the same process as before"):
        acted(configured(TABLE), "app restart", name="backend")


def test_one_that_fails_is_told(manager: Manager, configured: Configured) -> None:
    manager.says(after={"InvocationID": "3", "ActiveState": "failed", "SubState": "failed"})
    with pytest.raises(FailedPartway, match=r"shop.service is not up again: it is failed \(failed\)"):
        acted(configured(TABLE), "app restart", name="backend")


def test_a_unit_that_is_not_there(manager: Manager, configured: Configured) -> None:
    manager.says(LoadState="not-found")
    with pytest.raises(BadUsage, match="it is not-found"):
        planned(configured(TABLE), "app restart", name="backend")


def test_a_refusal_names_the_permission(manager: Manager, configured: Configured) -> None:
    manager.says(refuses="Failed to restart shop.service: Interactive authentication required.")
    with pytest.raises(NotAllowed, match="manage-units") as caught:
        acted(configured(TABLE), "app restart", name="backend")
    assert 'action.lookup("unit") == "shop.service"' in caught.value.hint


def test_the_journal(manager: Manager, configured: Configured) -> None:
    page = looked(configured(f"{TABLE}user = true\n"), "app logs", name="backend", grep="gateway")
    assert [one["line"] for one in page.data["lines"]] == ["error: gateway password=***"]
    assert manager.argv == [
        ["journalctl", "--user-unit", "shop.service", "--lines", "2000", "--no-pager", "--output", "short-iso"]
    ]


def test_another_database_is_written_into_its_file(
    manager: Manager, configured: Configured, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = directory / "shop.env"
    file.write_text("LEVEL=info\nDATABASE_URL=postgresql://app@old/shop\n")
    file.chmod(0o640)
    monkeypatch.setenv("NEW_URL", 'postgresql://app:can"ary$\\@127.0.0.1:1/shop')
    workspace = configured(f'{TABLE}env_file = "shop.env"\n')
    made = planned(workspace, "app switch-database", name="backend", to="NEW_URL")
    assert 'can"ary' not in json.dumps(made.plan.to_json())
    page = acted(workspace, "app switch-database", made, name="backend", to="NEW_URL")
    assert file.read_text() == 'LEVEL=info\nDATABASE_URL="postgresql://app:can\\"ary\\$\\\\@127.0.0.1:1/shop"\n'
    assert file.stat().st_mode & 0o777 == 0o640
    assert "old/shop" in (directory / "shop.env.before").read_text()
    assert "shop.env.before" in text_of(page)
    assert manager.argv[-2][-2:] == ["restart", "shop.service"]


def test_a_variable_that_can_not_be_written_changes_nothing(directory: Path) -> None:
    file = directory / "shop.env"
    file.write_text("DATABASE_URL=one\\\ntwo\n")
    for value in ("three", "line\nbreak"):
        with pytest.raises(TabsyncError):
            write_variable(file, "DATABASE_URL", value)
    assert file.read_text() == "DATABASE_URL=one\\\ntwo\n"


def test_what_may_not_be_done_is_said_beforehand(manager: Manager, configured: Configured) -> None:
    page = looked(configured(TABLE), "integration check")
    found = {one["for"]: one["allowed"] for one in page.data["permissions"]}
    assert found["app switch-database"] is None
    assert "env_file" in text_of(page)
    assert page.exit_code is not Exit.PROBLEM_FOUND
    manager.says(LoadState="not-found")
    assert "it is not loaded" in text_of(looked(configured(TABLE), "integration check"))
