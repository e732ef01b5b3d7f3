"""A server that speaks German: what is done and said doesn't depend on the language of its messages."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.file import plan_restore_file
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.server import first_of
from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import CannotConnect, FailedPartway
from tabsync.postgres import embedded
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for, installations
from tabsync.system.claims import claim
from tabsync.workspace import Workspace
from tests.conftest import missing, run_sql
from tests.drills.test_odd_databases import fill
from tests.drills.test_passes import MISSING_KEY
from tests.drills.test_restore import asked, backed_up, carried_out, databases_of
from tests.mixed import mix_messages


@pytest.fixture(scope="module")
def german(place: Path) -> Iterator[embedded.Server]:
    """A server of Debian's PostgreSQL 15 whose messages are German, as an ordinary role sees them."""
    found = [one for one in installations() if one.major == 15 and one.has_server]
    if not found or b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout:
        missing("PostgreSQL 15, or the locale de_DE.UTF-8")
    held = claim(place / "server-german")
    assert held is not None
    # Without checksums a page that was written over is found by its header.
    settings = {"fsync": "off", "lc_messages": "de_DE.UTF-8", "ignore_checksum_failure": "off"}
    server = embedded.create(held.directory, settings=settings, installation=found[0])
    embedded.start(server)
    run_sql(server.conninfo(), "create role bk login createdb password 'x'")
    run_sql(server.conninfo(), "grant pg_read_all_data to bk")
    theirs = psycopg.connect(as_user(server.conninfo()))
    with theirs, pytest.raises(psycopg.errors.DivisionByZero, match="durch Null"):
        theirs.execute("select 1 / 0")
    yield server
    embedded.destroy(server)


def as_user(conninfo: str) -> str:
    return make_conninfo(conninfo, user="bk", password="x")


@pytest.mark.parametrize("as_whom", [str, as_user], ids=["superuser", "user"])
def test_a_database_that_is_gone_comes_back(
    as_whom: Callable[[str], str], german: embedded.Server, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = german.conninfo("laden")
    run_sql(german.conninfo(), "create database laden")
    fill(conninfo, "create table t (id int primary key)")
    backup = backed_up(workspaces(as_whom(conninfo)))
    run_sql(german.conninfo(), "drop database laden with (force)")
    workspace = workspaces(as_whom(conninfo))
    try:
        carried_out(workspace, plan_restore_new(workspace, "latest", "laden", no_owner=True)).raise_if_failed()
        assert asked(workspace, "laden", "select count(*) from t") == [(0,)]
        assert backup == workspace.store().manifests()[0][-1].id
        run_sql(german.conninfo(), "alter database {} connection limit 0", "laden")
        with pytest.raises(CannotConnect, match="laden"):  # it is there, and lets nobody in
            first_of([as_user(conninfo), as_user(german.conninfo("postgres"))])
    finally:
        run_sql(german.conninfo(), "drop database laden with (force)")


def test_a_damaged_page_is_no_passing_fault(german: embedded.Server, workspaces: Callable[..., Workspace]) -> None:
    run_sql(german.conninfo(), "create database {}", "schaden")
    conninfo = german.conninfo("schaden")
    fill(conninfo, "create table docs as select g as id, repeat('x', 100) as body from generate_series(1, 5000) g")
    fill(conninfo, "checkpoint")
    ((relative,),) = asked(workspaces(conninfo), "schaden", "select pg_relation_filepath('docs')")
    embedded.stop(german)
    with (german.data / str(relative)).open("r+b") as file:
        file.seek(20 * 8192 + 100)
        file.write(b"\x55" * 14)
    embedded.start(german)
    conninfo = german.conninfo("schaden")  # it has another port now
    try:
        outcome = carried_out(workspaces(conninfo), plan_take_full(workspaces(conninfo)))
        assert isinstance(outcome.error, FailedPartway)
        assert "invalid page in block 20 of relation" in outcome.error.fact
        assert "Data corruption detected" in outcome.error.hint
        theirs = workspaces(as_user(conninfo))
        outcome = carried_out(theirs, plan_take_full(theirs))
        assert isinstance(outcome.error, FailedPartway)
        assert "ungültige Seite in Block 20 von Relation" in outcome.error.fact
        assert "run it again;" not in outcome.error.hint
        assert "the server's log" in outcome.error.hint
    finally:
        run_sql(german.conninfo(), "drop database {} with (force)", "schaden")


def test_what_does_not_restore_is_told_in_the_servers_words(
    german: embedded.Server, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    run_sql(german.conninfo(), "create database {}", "waise")
    conninfo = german.conninfo("waise")
    try:
        fill(conninfo, MISSING_KEY)
        workspace = workspaces(as_user(conninfo))
        backup = backed_up(workspace)
        outcome = carried_out(workspace, plan_restore_new(workspace, backup, "ganz", no_owner=True))
        assert isinstance(outcome.error, FailedPartway)
        assert "c_p_fkey" in outcome.error.fact
        assert "Schlüssel (p)=(2)" in outcome.error.fact
        assert "ganz" not in databases_of(workspaces(conninfo))
        script = directory / "waise.sql"
        program = clients_for(15).program("pg_dump")
        command = [str(program), "--no-owner", f"--file={script}"]
        subprocess.run(command, env=libpq_environment(conninfo), check=True)
        outcome = carried_out(workspace, plan_restore_file(workspace, script, "ganz"))
        assert isinstance(outcome.error, FailedPartway)
        assert "c_p_fkey" in outcome.error.fact
        assert "Schlüssel (p)=(2)" in outcome.error.fact
    finally:
        run_sql(german.conninfo(), "drop database {} with (force)", "waise")


@pytest.mark.parametrize("mixed", [False, True])
def test_a_newer_pg_restore_is_harmless_in_german_too(
    mixed: bool,
    german: embedded.Server,
    workspaces: Callable[..., Workspace],
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """mixed: each worker has that error when it begins, all at the same moment."""
    run_sql(german.conninfo(), "create database {}", "neuer")
    conninfo = german.conninfo("neuer")
    try:
        fill(conninfo, "create table t as select 1 as a")
        file = directory / "neuer.dump"
        command = [str(clients_for(17).program("pg_dump")), "--format=custom", "--no-owner", f"--file={file}"]
        subprocess.run(command, env=libpq_environment(conninfo), check=True)
        workspace = workspaces(as_user(conninfo))
        lines = mix_messages(monkeypatch) if mixed else []
        carried_out(workspace, plan_restore_file(workspace, file, "alt", no_owner=True)).raise_if_failed()
        assert bool(lines) is mixed
        assert asked(workspace, "alt", "select a from t") == [(1,)]
    finally:
        for name in ("neuer", "alt"):
            run_sql(german.conninfo(), "drop database if exists {} with (force)", name)
