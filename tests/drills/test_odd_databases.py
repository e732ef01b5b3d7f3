"""Databases that dumps stumble over: odd names, every kind of object, none, a thousand, what a scratch server lacks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tabsync.backups.drill import drill as drill_module
from tabsync.copies.proofs import steps as proof_module
from tabsync.copies.restores import scratch as scratch_module
from tabsync.init.inspect import Findings, manual_text
from tabsync.kernel.errors import Exit
from tabsync.postgres import embedded as embedded_module
from tabsync.postgres.installation import embedded
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_drill import drill
from tests.whole import whole

_ODD = Path(__file__).with_name("odd.sql")


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """A manual without key tables, since these databases have none of TabSync's."""
    path = tmp_path / "manual.md"
    nothing = Findings({"database": "odd", "version": "17"}, "self-hosted", (), (), (), 0)
    path.write_text(manual_text(nothing))
    return path


def fill(conninfo: str, script: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(script)


@pytest.mark.parametrize("major", [15, 17, 18])
def test_one_of_each_thing_comes_back_identical(
    major: int, databases: Databases, workspaces: Callable[..., Workspace], manual: Path
) -> None:
    conninfo = databases(major, name=f"Odd = 'name' {major}")
    fill(conninfo, _ODD.read_text())
    try:
        report = drill(workspaces(conninfo, manual))
    finally:
        for thing in ("drop owned by {} cascade", "drop role {}"):
            run_sql(conninfo, thing, "odd owner")
    assert report.data["error"] is None
    assert report.data["verdict"]["content"] == "identical"
    rows = {(table["schema"], table["name"]): table["rows"] for table in report.data["tables"]}
    assert rows["public", 'we"ird; drop table x'] == 2
    assert rows["Capital Schema", "Table With Blanks"] == 50
    assert rows["app", "line\nbreak"] == 0
    assert rows["app", "events_2025"] + rows["app", "events_rest"] == 400
    assert rows["app", "parent"] == 1
    assert report.data["verdict"]["foreign_keys"] == 2


def test_an_empty_database(databases: Databases, workspaces: Callable[..., Workspace], manual: Path) -> None:
    verdict = drill(workspaces(databases(), manual)).data["verdict"]
    assert (verdict["content"], verdict["tables"], verdict["rows"], verdict["ok"]) == ("identical", 0, 0, True)


def test_the_database_called_postgres(
    server: embedded_module.Server, workspaces: Callable[..., Workspace], manual: Path
) -> None:
    assert drill(workspaces(server.conninfo("postgres"), manual)).data["verdict"]["content"] == "identical"


@whole
def test_a_thousand_tables(databases: Databases, workspaces: Callable[..., Workspace], manual: Path) -> None:
    conninfo = databases()
    fill(
        conninfo,
        "do $$ begin for i in 1..1000 loop"
        " execute format('create table t%s (id int primary key)', i);"
        " execute format('insert into t%s values (%s)', i, i); end loop; end $$",
    )
    verdict = drill(workspaces(conninfo, manual)).data["verdict"]
    assert (verdict["content"], verdict["tables"], verdict["rows"]) == ("identical", 1000, 1000)


def test_a_missing_extension_makes_it_partial_and_is_named(
    databases: Databases,
    workspaces: Callable[..., Workspace],
    manual: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conninfo = databases()
    fill(
        conninfo,
        "create extension hstore; create table bags (id int primary key, bag hstore);"
        " insert into bags values (1, 'a=>1'); create view first_bags as select * from bags;"
        " create table plain (id int primary key); insert into plain values (7);"
        " create table refers (bag int references bags); insert into refers values (1)",
    )
    without = place / "without-hstore"
    if not without.exists():
        shutil.copytree(embedded().bindir.parent, without, symlinks=True)
        (without / "share" / "extension" / "hstore.control").unlink()
    lacking = replace(embedded(), bindir=without / "bin")
    # The scratch server is a real PostgreSQL that really lacks the extension.
    monkeypatch.setattr(scratch_module, "server_for", lambda major: lacking)
    monkeypatch.setattr(drill_module, "server_for", lambda major: lacking)
    monkeypatch.setattr(proof_module, "server_for", lambda major: lacking)
    monkeypatch.setattr("tabsync.postgres.embedded.installations", lambda: (lacking,))
    report = drill(workspaces(conninfo, manual))
    verdict = report.data["verdict"]
    assert report.data["error"] is None
    assert (verdict["content"], verdict["ok"], report.exit_code) == ("partial", False, Exit.PROBLEM_FOUND)
    unproven = "; ".join(verdict["unproven"])
    assert "extension hstore" in unproven
    assert "table public.bags" in unproven
    assert "view public.first_bags" in unproven
    states = {table["name"]: (table["rows"], table["identical"]) for table in report.data["tables"]}
    assert states == {"bags": (None, False), "plain": (1, True), "refers": (1, True)}
