"""The warm copy of a drill: rows and answers come back from it in a second, and it lives as long as it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.query import answered, tables_of
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.cli.leftovers import delete_leftovers
from tabsync.copies.partial import READER
from tabsync.copies.warm import cool_pruned, warm_copies
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.postgres import embedded
from tabsync.system.claims import claim
from tabsync.workspace import Workspace
from tests.drills.test_drill import left_behind
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import asked, backed_up, own_database
from tests.postgres.cli.program import tabsync


def configure(workspace: Workspace, directory: Path) -> None:
    """Write the tabsync.toml of a workspace."""
    lines = (f'database = "{workspace.conninfo}"', f'store = "{workspace.store_root}"', 'home = "home"', "")
    (directory / "tabsync.toml").write_text("\n".join(lines))


def keep_warm(workspace: Workspace) -> str:
    """Drill, and keep the copy; gives the backup's id."""
    report = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), keep_warm=True))
    assert report.data["verdict"]["content"] == "identical"
    return str(report.data["backup"])


_NAMESAKE = f"""
do $$ begin
  if not exists (select from pg_roles where rolname = '{READER}') then create role {READER}; end if;
end $$"""


@pytest.fixture
def shop(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    workspace = workspaces(tabsync_database())
    fill(workspace.conninfo, _NAMESAKE)  # comes into the copy without a login, and must not be in the reader's way
    yield workspace
    for one in warm_copies(workspace):
        embedded.end_server(one.directory)


def test_rows_and_answers_come_back_from_it(shop: Workspace) -> None:
    backup = keep_warm(shop)
    assert left_behind(shop) == []
    (copy,) = warm_copies(shop)
    assert embedded.postmaster(copy.directory) is None
    fill(shop.conninfo, "delete from payments")
    with compared(shop, "payments", "status = 'PAID'", "warm") as found:
        run(plan_write_rows(shop, found), shop, shop.journal()).raise_if_failed()
    paid = "select count(*) from payments where status = 'PAID'"
    assert asked(shop, own_database(shop), "select count(*) from payments") == [(found.total("missing"),)]
    with answered(shop, "warm", f"{paid};") as answer:
        assert (answer.columns, list(answer.rows)) == (("count",), [(str(found.total("missing")),)])
        assert answer.source == f"the warm copy of {backup}"
        assert answer.seconds > 0
    assert [one.backup for one in warm_copies(shop)] == [backup]
    assert embedded.postmaster(copy.directory) is None
    delete_leftovers(shop)
    with compared(shop, "payments", "true") as again:  # the latest backup is the one that has it
        assert again.source == f"the warm copy of {backup}"
    newer = keep_warm(shop)
    assert [one.backup for one in warm_copies(shop)] == [newer]
    assert cool_pruned(shop, ["another"]) == []
    assert cool_pruned(shop, [newer]) == [newer]
    assert not copy.directory.with_name(newer).exists()


_NOT_READING = {
    "delete from payments returning *": "syntax error",
    "with gone as (delete from payments returning *) select * from gone": "data-modifying",
    "select 1 from payments; drop table payments": "multiple commands",
    "select pg_read_file('/etc/passwd') from payments": "permission denied",
    "select set_config('role', 'postgres', false) from payments": "permission denied",
    "select pg_sleep(9) from payments": "longer than 1 s",
    "select nothing from payments": "does not exist",
}


def test_a_statement_can_only_read(shop: Workspace) -> None:
    keep_warm(shop)
    for statement, told in _NOT_READING.items():
        with pytest.raises((BadUsage, Refused), match=told), answered(shop, "warm", statement, timeout=1):
            pytest.fail("it was answered")
    assert left_behind(shop) == []


def test_without_a_warm_copy_only_the_tables_needed_are_read(shop: Workspace) -> None:
    backup = backed_up(shop)
    statement = "select u.email from users u join staff s on s.user_id = u.id order by 1"
    with answered(shop, backup, statement, limit=2) as answer:
        assert (len(list(answer.rows)), answer.count, answer.more) == (2, 2, True)
    with pytest.raises(BadUsage, match=r"no table public\.user_ in"), answered(shop, backup, "select * from user_"):
        pytest.fail("it was answered")
    with pytest.raises(BadUsage, match="no warm copy"), answered(shop, "warm", "select 1"):
        pytest.fail("it was answered")


def test_the_tables_of_a_statement() -> None:
    statement = 'with c as (select * from "A b".t) select * from c, Users, pg_catalog.pg_class, shop."Orders"'
    assert sorted(map(str, tables_of(statement))) == ['"A b".t', "public.users", 'shop."Orders"']


def test_a_copy_in_use_is_let_alone_and_stopped_when_its_user_dies(shop: Workspace, directory: Path) -> None:
    keep_warm(shop)
    (copy,) = warm_copies(shop)
    held = claim(copy.directory)
    assert held is not None
    with pytest.raises(Refused, match="another process is using"), answered(shop, "warm", "select 1"):
        pytest.fail("it was answered")
    assert cool_pruned(shop, [copy.backup]) == []
    held.release()
    (directory / "tabsync.toml").write_text(
        f'database = "{shop.conninfo}"\nstore = "{shop.store_root}"\nhome = "home"\n'
    )
    asking = ["backup", "query", "warm", "select pg_sleep(60)"]
    process = subprocess.Popen([Path(sys.executable).with_name("tabsync"), *asking], cwd=directory)
    for _ in range(200):
        time.sleep(0.05)
        if embedded.postmaster(copy.directory) is not None:
            break
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert embedded.postmaster(copy.directory) is not None
    delete_leftovers(shop)
    assert embedded.postmaster(copy.directory) is None
    with answered(shop, "warm", "select count(*) from users") as answer:
        assert answer.count == 1


def test_the_commands(shop: Workspace, directory: Path) -> None:
    (directory / "tabsync.toml").write_text(
        f'database = "{shop.conninfo}"\nstore = "{shop.store_root}"\nhome = "home"\n'
    )
    assert tabsync(directory, "backup", "query", "warm", "select 1").code == 2
    assert tabsync(directory, "drill", "--keep-warm").code == 0
    statement = "select role, count(*) as n, null as nothing from users group by 1 order by 1 limit 1"
    shown = tabsync(directory, "backup", "query", "latest", statement)
    assert (shown.code, "NULL" in shown.out, "1 row from the warm copy" in shown.out) == (0, True, True)
    assert max(map(len, shown.out.splitlines())) <= 100
    told = tabsync(directory, "backup", "query", "warm", statement, "--json").json
    assert (told["columns"], told["rows"][0][2], told["more"]) == (["role", "n", "nothing"], None, False)
    assert tabsync(directory, "backup", "query", "warm", statement, "--csv").out.startswith("role,n,nothing\n")
    assert tabsync(directory, "backup", "cool").code == 0
    assert tabsync(directory, "backup", "cool").code == 2
