"""kill -9 in restores: no database is lost, nothing half made passes for whole, and the same command then works."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.in_place import plan_restore_in_place, unfinished
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.kernel.runner import run
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_killed import check_aftermath
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import asked, backed_up, carried_out, databases_of, own_database
from tests.whole import whole


@pytest.fixture
def shop(tabsync_database: object, workspaces: object) -> Iterator[Workspace]:
    """A TabSync database whose payments were deleted after the backup; what is made beside it is dropped."""
    workspace: Workspace = workspaces(tabsync_database())  # type: ignore[operator]
    backed_up(workspace)
    fill(workspace.conninfo, "delete from payments")
    name = own_database(workspace)
    run_sql(workspace.conninfo, "create database {}", f"{name}_into")
    yield workspace
    for other in databases_of(workspace):
        if str(other).startswith(f"{name}_"):
            run_sql(make_conninfo(workspace.conninfo, dbname="postgres"), "drop database {} with (force)", str(other))


def kill(workspace: Workspace, directory: Path, moment: str, step: str, kind: str) -> None:
    """Carry a restore out in a process that kills itself."""
    names = ("home", "store_root", "manual_path", "conninfo", "ledger_url")
    (directory / "workspace.json").write_text(json.dumps({name: str(getattr(workspace, name)) for name in names}))
    command = [
        sys.executable,
        "-m",
        "tests.drills.killed_restore",
        str(directory / "workspace.json"),
        moment,
        step,
        kind,
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr
    check_aftermath(workspace, directory)


def payments(workspace: Workspace, database: str = "") -> int:
    return int(str(asked(workspace, database or own_database(workspace), "select count(*) from payments")[0][0]))


@pytest.mark.parametrize(
    ("moment", "step"),
    [("after", "fetch"), ("during", "restore"), ("after", "verify"),
     *(pytest.param("after", step, marks=whole) for step in ("commit", "create", "restore", "settle"))],
)  # fmt: skip
def test_before_the_exchange_the_database_is_as_it_was(
    shop: Workspace, directory: Path, moment: str, step: str
) -> None:
    kill(shop, directory, moment, step, "in-place")
    assert payments(shop) == 0
    assert len(unfinished(shop)) == (step not in ("fetch", "commit"))
    carried_out(shop, plan_restore_in_place(shop)).raise_if_failed()
    assert payments(shop) > 0


def test_after_the_exchange_the_old_one_is_still_there(shop: Workspace, directory: Path) -> None:
    kill(shop, directory, "after", "swap", "in-place")
    assert payments(shop) > 0
    (aside,) = [str(name) for name in databases_of(shop) if f"{own_database(shop)}_before_" in str(name)]
    assert payments(shop, aside) == 0
    assert unfinished(shop) == []


@pytest.mark.parametrize(("moment", "step"), [("after", "create"), ("during", "restore"), ("before", "verify")])
def test_a_new_database_that_is_not_whole_says_so(shop: Workspace, directory: Path, moment: str, step: str) -> None:
    kill(shop, directory, moment, step, "new")
    name = f"{own_database(shop)}_new"
    assert unfinished(shop) == [name]
    run_sql(shop.conninfo, "drop database {}", name)
    carried_out(shop, plan_restore_new(shop, "latest", name)).raise_if_failed()
    assert payments(shop, name) > 0


@pytest.mark.parametrize("moment", ["during", "after"])
def test_tables_into_an_existing_database_are_there_or_not(shop: Workspace, directory: Path, moment: str) -> None:
    kill(shop, directory, moment, "restore", "tables")
    into = f"{own_database(shop)}_into"
    found = asked(shop, into, "select count(*) from pg_class where relname in ('users', 'orders')")
    # pg_restore outlives us until the next command ends it; what it got done by then is all or nothing.
    assert found in ([(2,)], [(0,)])[: 1 if moment == "after" else 2]
    if found == [(0,)]:
        carried_out(shop, plan_restore_tables(shop, ["users", "orders"], into=into)[0]).raise_if_failed()


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_rows_are_written_or_not(shop: Workspace, directory: Path, moment: str) -> None:
    kill(shop, directory, moment, "write", "rows")
    if moment == "after":
        assert payments(shop) > 0
        return
    assert payments(shop) == 0
    with compared(shop, "payments", "true") as found:
        run(plan_write_rows(shop, found), shop, shop.journal()).raise_if_failed()
    assert payments(shop) == found.total("missing") > 0
