"""Amounts of money: a dump has them as the locale of the database writes them, and whatever reads it is told."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from soak.through import plain_manual, through

from tabsync.backups.restore.file import plan_restore_file
from tabsync.backups.restore.new import plan_restore_new
from tabsync.copies.dumps import money
from tabsync.kernel.errors import Refused
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for
from tabsync.workspace import Workspace
from tests.conftest import Databases, missing, run_sql
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import asked, backed_up, carried_out
from tests.servers import running_server

_SCRIPT = (
    "set lc_monetary = 'de_DE.UTF-8'; create type pay as (n int, paid money); create domain fee as money;"
    " create table m (id int primary key, x money default '7,5', f fee, p pay, l money[]);"
    " insert into m values (1, '1.234,56', '0,07', row(1, '-3'), array['1', '2,5']::money[]);"
    " insert into m values (2, null);"
    " create table n (m int references m); insert into n values (1)"
)
_CENTS = (
    "select (x::numeric * 100)::text, (f::numeric * 100)::text, ((p).paid::numeric * 100)::text from m where id = 1"
)


@pytest.fixture(autouse=True)
def _german() -> None:
    if b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout:
        missing("the locale de_DE.UTF-8")


def prepared(workspace: Workspace) -> Workspace:
    fill(workspace.conninfo, _SCRIPT)
    object.__setattr__(workspace, "manual_path", plain_manual(workspace.home / "manual.md"))
    return workspace


@pytest.fixture
def preset(databases: Databases, workspaces: Callable[..., Workspace]) -> Workspace:
    """A database that presets its locale for money; the server has another one."""
    workspace = workspaces(databases())
    statement = "alter database %I set lc_monetary = ''de_DE.UTF-8''"
    fill(workspace.conninfo, f"do $$ begin execute format('{statement}', current_database()); end $$")
    return prepared(workspace)


def test_a_database_that_writes_money_its_own_way_comes_back(preset: Workspace) -> None:
    told = through(preset)
    assert {name: (one.verdict, one.notes) for name, one in told.items()} == dict.fromkeys(told, ("same", []))


def test_a_server_that_writes_money_its_own_way_is_no_loss(workspaces: Callable[..., Workspace]) -> None:
    with running_server("money", lc_monetary="de_DE.UTF-8") as server:
        run_sql(server.conninfo(), "create database {}", "shop")
        told = through(prepared(workspaces(server.conninfo("shop"))), ("drill", "new", "tables", "rows"))
        assert {name: (one.verdict, one.notes) for name, one in told.items()} == dict.fromkeys(told, ("same", []))


def test_a_dump_that_somebody_else_made_says_how_it_writes_money(preset: Workspace, tmp_path: Path) -> None:
    """Where it was made with --create, it holds the database's settings."""
    program, path = clients_for(17).program("pg_dump"), tmp_path / "theirs.dump"
    command = [str(program), "--format=custom", "--create", f"--file={path}"]
    subprocess.run(command, env=libpq_environment(preset.conninfo), check=True)
    try:
        carried_out(preset, plan_restore_file(preset, path, "money_back")).raise_if_failed()
        assert asked(preset, "money_back", _CENTS) == [("123456.00", "7.00", "-300.00")]
    finally:
        run_sql(preset.conninfo, "drop database if exists {} with (force)", "money_back")


def test_a_server_without_the_locale_is_told_of_and_reads_no_other_amount(
    preset: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(preset.conninfo, "alter table m alter x drop default")
    backed_up(preset)
    monkeypatch.setattr(money, "reading", lambda *_: {"lc_monetary": "nowhere.UTF-8"})
    with pytest.raises(Refused, match=r"lacks the locale nowhere\.UTF-8, in which the backup's amounts of money"):
        plan_restore_new(preset, "latest", "money_back")
    told = through(preset, ("drill",))["drill"]
    assert told.facts["error"] is None
    assert told.facts["verdict"]["content"] == "partial"
    assert told.verdict == "rows of table public.m: this server can't read its amounts of money"
    states = {one["name"]: (one["rows"], one["identical"]) for one in told.facts["tables"]}
    assert states == {"m": (0, False), "n": (1, True)}
