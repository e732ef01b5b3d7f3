"""Dumps that others made: every format of pg_dump comes back, and what is wrong with one is said before it is run."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import zstandard
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.file import plan_restore_file, plan_restore_file_tables
from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import embedded
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_drill import left_behind
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import asked, carried_out, databases_of
from tests.postgres.cli.program import tabsync

_SUM = "select md5(string_agg(u::text, ';' order by id)) from users u"


def dump(conninfo: str, file: Path, *options: str) -> Path:
    """Have pg_dump write a dump, as anybody would."""
    program = str(embedded().program("pg_dump"))
    subprocess.run([program, f"--file={file}", *options], env=libpq_environment(conninfo), check=True)
    return file


@pytest.fixture
def shop(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    """A TabSync database; what is made beside it is dropped at the end."""
    workspace = workspaces(tabsync_database())
    before = databases_of(workspace)
    yield workspace
    for name in databases_of(workspace) - before:
        run_sql(make_conninfo(workspace.conninfo, dbname="postgres"), "drop database {} with (force)", str(name))


def made(plan: Plan) -> str:
    return str(next(step for step in plan.steps if step.key == "create").arguments["database"])


@pytest.mark.parametrize(
    ("options", "packing"),
    [
        (["--format=custom"], ""),
        (["--format=custom"], "gz"),
        (["--format=tar"], ""),
        (["--format=directory"], ""),
        (["--format=plain"], ""),
        (["--format=plain"], "gz"),
        (["--format=plain"], "zst"),
    ],
    ids=" ".join,
)
def test_every_format_comes_back(shop: Workspace, directory: Path, options: list[str], packing: str) -> None:
    path = dump(shop.conninfo, directory / "a dump", *options)
    if packing:
        pack = gzip.compress if packing == "gz" else zstandard.compress
        path.write_bytes(pack(path.read_bytes()))
    plan = plan_restore_file(shop, path)
    outcome = carried_out(shop, plan)
    outcome.raise_if_failed()
    own = psycopg.conninfo.conninfo_to_dict(shop.conninfo)["dbname"]
    assert asked(shop, made(plan), _SUM) == asked(shop, str(own), _SUM)
    rows = {one["name"]: one["rows"] for one in outcome.results["verify"]["tables"]}
    assert (rows["orders"], len(rows)) == (300, 17)
    assert left_behind(shop) == []


@pytest.mark.parametrize("form", ["custom", "tar"])
def test_some_tables_come_with_what_they_need_from_a_file_too(shop: Workspace, directory: Path, form: str) -> None:
    path = dump(shop.conninfo, directory / "x.dump", f"--format={form}")
    plan, selection = plan_restore_file_tables(shop, path, ["users"])
    carried_out(shop, plan).raise_if_failed()
    own = psycopg.conninfo.conninfo_to_dict(shop.conninfo)["dbname"]
    assert asked(shop, made(plan), _SUM) == asked(shop, str(own), _SUM)
    assert asked(shop, made(plan), "select count(*) from pg_class where relkind = 'r' and oid >= 16384") == [(1,)]
    assert selection.left_out == ()
    with pytest.raises(Refused, match="already exists"):
        plan_restore_file_tables(shop, path, ["users"], into=made(plan))
    into, _ = plan_restore_file_tables(shop, path, ["audit_logs"], into=made(plan))
    carried_out(shop, into).raise_if_failed()


def test_what_does_not_run_is_dropped_again(shop: Workspace, directory: Path) -> None:
    before = databases_of(shop)
    script = directory / "some.sql"
    script.write_text("create table fine (a int);\nselect nothing;\n")
    outcome = carried_out(shop, plan_restore_file(shop, script))
    assert isinstance(outcome.error, FailedPartway)
    assert 'column "nothing" does not exist' in outcome.error.fact
    custom = dump(shop.conninfo, directory / "x.dump", "--format=custom")
    content = custom.read_bytes()
    custom.write_bytes(content[: len(content) - len(content) // 3])
    cut = carried_out(shop, plan_restore_file(shop, custom))
    assert isinstance(cut.error, FailedPartway)
    assert databases_of(shop) == before


def test_what_is_wrong_with_a_file_is_said_beforehand(shop: Workspace, directory: Path) -> None:
    create = dump(shop.conninfo, directory / "c.sql", "--create")
    with pytest.raises(Refused, match=r"\\connect is a psql command"):
        plan_restore_file(shop, create)
    plain = dump(shop.conninfo, directory / "p.sql")
    plain.write_bytes(plain.read_bytes()[:-3000])
    with pytest.raises(ProblemFound, match="is incomplete"):
        plan_restore_file(shop, plain)
    packed = directory / "p.sql.gz"
    packed.write_bytes(gzip.compress(b"select 1;" * 100_000)[:-20])
    with pytest.raises(ProblemFound, match="is corrupt"):
        plan_restore_file(shop, packed)
    (directory / "picture").write_bytes(b"\x89PNG\0\0\0")
    with pytest.raises(Refused, match="is not a dump that pg_dump wrote"):
        plan_restore_file(shop, directory / "picture")
    with pytest.raises(BadUsage, match="there is no dump"):
        plan_restore_file(shop, directory / "nowhere")
    with pytest.raises(Refused, match="only be restored as a whole"):
        plan_restore_file_tables(shop, dump(shop.conninfo, directory / "q.sql"), ["users"])


@pytest.mark.parametrize("packing", ["", "gz"])
def test_a_script_runs_no_command_of_the_shell(shop: Workspace, directory: Path, packing: str) -> None:
    before = databases_of(shop)
    touched = directory / "touched"
    script = directory / "evil.sql"
    evil = f"-- Hello\n\n\\restrict a\nselect 1;\n\\unrestrict a\nselect 1 \\! touch {touched}\n".encode()
    script.write_bytes(gzip.compress(evil) if packing else evil)
    outcome = carried_out(shop, plan_restore_file(shop, script))
    assert isinstance(outcome.error, FailedPartway)
    assert "backslash commands are restricted" in outcome.error.fact
    assert not touched.exists()
    assert databases_of(shop) == before


def test_a_file_that_changes_after_the_plan_is_not_run(shop: Workspace, directory: Path) -> None:
    script = directory / "some.sql"
    script.write_text("select 1;")
    plan = plan_restore_file(shop, script)
    script.write_text("drop database something;")
    assert isinstance(carried_out(shop, plan).error, Refused)


def test_the_command(shop: Workspace, directory: Path, databases: Databases) -> None:
    (directory / "tabsync.toml").write_text(f'database = "{shop.conninfo}"\n')
    path = dump(shop.conninfo, directory / "x.dump", "--format=custom")
    assert tabsync(directory, "restore", "new", "--file", path, "--from", "20260101T000000Z-beef").code == 2
    shown = tabsync(directory, "restore", "new", "--file", path, "--dry-run")
    assert (shown.code, "Restore x.dump into the new database" in shown.out) == (0, True)
    done = tabsync(directory, "restore", "new", "--file", path, "--as", "from_file", "--json")
    assert (done.code, done.json["database"], len(done.json["tables"])) == (0, "from_file", 17)
    told = tabsync(directory, "restore", "tables", "users", "--file", path)
    assert told.code == 0
    assert "public.users (" in told.out


def test_roles_that_are_missing_are_named_or_left_out(shop: Workspace, directory: Path) -> None:
    run_sql(shop.conninfo, "create role {}", "seller")
    fill(shop.conninfo, "alter table staff owner to seller; grant select on users to seller")
    path = dump(shop.conninfo, directory / "x.dump", "--format=custom")
    for thing in ("reassign owned by {} to current_user", "drop owned by {}", "drop role {}"):
        run_sql(shop.conninfo, thing, "seller")
    with pytest.raises(Refused, match="roles are missing on this server: seller"):
        plan_restore_file(shop, path)
    carried_out(shop, plan_restore_file(shop, path, no_owner=True)).raise_if_failed()


@pytest.mark.parametrize("packing", ["", "gz", "zst"])
def test_a_script_of_a_newer_pg_dump_runs_on_an_older_server(
    packing: str, databases: Databases, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo, older = databases(17), databases(15)
    fill(conninfo, "create table t as select generate_series(1, 3) as a; create table s (v text)")
    fill(conninfo, "insert into s values (E'SET transaction_timeout = 0;\n\n')")
    path = dump(conninfo, directory / "newer.sql")
    assert b"\nSET transaction_timeout = 0;\n" in path.read_bytes()
    if packing:
        pack = gzip.compress if packing == "gz" else zstandard.compress
        path.write_bytes(pack(path.read_bytes()))
    workspace = workspaces(older)
    try:
        plan = plan_restore_file(workspace, path, "of newer")
        assert "transaction_timeout" in plan.steps[0].preview
        carried_out(workspace, plan).raise_if_failed()
        assert asked(workspace, "of newer", "select count(*) from t") == [(3,)]
        assert asked(workspace, "of newer", "select v from s") == [("SET transaction_timeout = 0;\n\n",)]
        # All or nothing, as before; and a server that knows the setting gets the file as it is.
        path.write_bytes(dump(conninfo, path).read_bytes() + b"\nselect 1 / 0;\n")
        outcome = carried_out(workspace, plan_restore_file(workspace, path, "half of newer"))
        assert isinstance(outcome.error, FailedPartway)
        assert "division by zero (line " in outcome.error.fact
        assert "half of newer" not in databases_of(workspace)
        steps = plan_restore_file(workspaces(conninfo), path, "of same").steps
        assert not any("transaction_timeout" in step.preview for step in steps)
    finally:
        run_sql(make_conninfo(older, dbname="postgres"), "drop database if exists {} with (force)", "of newer")


def test_a_pipe_is_refused_and_not_waited_for(shop: Workspace, directory: Path) -> None:
    os.mkfifo(directory / "pipe")
    with pytest.raises(BadUsage, match="is a pipe"):
        plan_restore_file(shop, directory / "pipe")
