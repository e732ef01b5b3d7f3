"""Clusters that aren't built like ours: other segment sizes, no checksums, tablespaces, a role with few rights, and
WAL that the server itself archives and fetches."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.backups.pitr.target import Target
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.push import fetch_into
from tabsync.backups.wal.receive import plan_receive
from tabsync.backups.wal.slot import read_slot
from tabsync.backups.wal.status import wal_status
from tabsync.backups.wal.window import window
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.postgres import catalog, embedded
from tabsync.postgres.installation import embedded as installation
from tabsync.system.account import server_account
from tabsync.system.claims import claim
from tabsync.system.programs import run_program
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_standby import recovered, run_plan, take
from tests.drills.test_wal import QUARTER
from tests.postgres.cli.program import TABSYNC
from tests.servers import standby_of
from tests.sessions import connect
from tests.vanish import identifier, stored, until
from tests.whole import whole

_SETTINGS = {
    **embedded.SCRATCH_SETTINGS,
    "wal_level": "replica",
    "max_wal_senders": "5",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "summarize_wal": "on",
    "max_wal_size": "1GB",
}


@contextmanager
def cluster(place: Path, *options: str, **settings: str) -> Iterator[embedded.Server]:
    """A running server whose cluster initdb made with other options than we give it."""
    held = claim(place)
    assert held is not None
    held.directory.chmod(0o711)
    server = embedded.Server(held.directory, installation(), {**_SETTINGS, **settings})
    account, password = server_account(), secrets.token_hex()
    (held.directory / "pgpass").write_text(f"*:*:*:postgres:{password}\n")
    (held.directory / "pgpass").chmod(0o600)
    (held.directory / "pwfile").write_text(password)
    account.own(held.directory / "pwfile")
    server.data.mkdir(mode=0o700)
    account.own(server.data)
    argv: list[str | Path] = [server.installation.server_bindir(account) / "initdb", f"--pgdata={server.data}"]
    argv += ["--username=postgres", f"--pwfile={held.directory / 'pwfile'}", "--auth=scram-sha-256", "--no-sync"]
    done = run_program([*argv, *options], account=account, timeout=60)
    assert done.code == 0, done.complaint()
    try:
        embedded.start(server)
        yield server
    finally:
        embedded.destroy(server)
        held.release()


def receive(workspace: Workspace) -> None:
    run_plan(workspace, plan_receive(workspace, once=True))


def insert(server: embedded.Server, *numbers: int) -> str:
    """Commit rows and finish the segment; gives its name."""
    with connect(server.conninfo(), "tests") as connection:
        connection.execute("insert into t select unnest(%s::int[])", [list(numbers)])
        row = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        return str(row[0])


@whole
def test_large_segments_a_tablespace_and_sql_ascii_by_a_role_of_few_rights(
    directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    with cluster(directory / "server", "--wal-segsize=64", "--locale=C") as server:
        space = directory / "space"
        space.mkdir(mode=0o700)
        server_account().own(space)
        with connect(server.conninfo(), "tests") as connection:
            connection.execute(sql.SQL("create tablespace elsewhere location {}").format(str(space)))
            connection.execute("create table t (id int) tablespace elsewhere")
            connection.execute("create role keeper login replication password 'few rights'")
            connection.execute("grant pg_read_all_data to keeper")
        few = {"user": "keeper", "password": "few rights"}
        workspace = workspaces(make_conninfo(server.conninfo(), passfile="", **few))
        with pytest.raises(
            NotAllowed, match="keeper lacks pg_monitor, so the position of its WAL is hidden"
        ) as refused:
            plan_receive(workspace)
        assert "grant pg_monitor to keeper" in refused.value.hint
        run_sql(server.conninfo(), "grant pg_monitor to {}", "keeper")
        receive(workspace)
        run_plan(workspace, plan_take_physical(workspace))
        insert(server, 1)
        run_plan(workspace, plan_take_physical(workspace, parent="latest"))
        run_sql(server.conninfo(), "insert into t values (2)")
        receive(workspace)
        (found,) = window(workspace)["clusters"]
        assert found["gaps"] == []
        told = wal_status(workspace, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)
        assert [one["what"] for one in told["problems"]] == ["slot tabsync_wal is inactive: no WAL is being received"]
        assert recovered(workspace, Target("latest", "")) == ([1, 2], True)
        assert list(take(workspace).tablespaces) == ["elsewhere"]
        owner = workspaces(server.conninfo())
        run_plan(owner, plan_restore_new(owner))


_RELAY = """#!/bin/sh
# archive_command and restore_command: sh relay.sh push|fetch ...; the account of the server may not run tabsync itself
asked={place}/$$
printf '%s\\n' "$PWD" "$@" > $asked.new && mv $asked.new $asked.ask
while ! test -e $asked.code; do sleep 0.02; done
code=$(cat $asked.code)
rm -f $asked.ask $asked.code
exit $code
"""


@contextmanager
def relay(place: Path, config: Path, codes: list[tuple[str, int]]) -> Iterator[Path]:
    """Runs tabsync wal for servers, in their data directories, and hands its exit codes on; gives their script.

    codes: which it gave for which file.
    """
    place.mkdir()
    server_account().own(place)
    script = place.with_suffix(".sh")
    script.write_text(_RELAY.format(place=place))
    script.chmod(0o755)
    ended = threading.Event()

    def answer(asked: Path) -> None:
        data, *words = asked.read_text().splitlines()
        argv = [str(TABSYNC), "wal", words[0], "--config", str(config), *words[1:]]
        code = subprocess.run(argv, cwd=data, capture_output=True, timeout=30).returncode
        if words[0] == "fetch" and code == 0:
            server_account().own(Path(data) / words[2])
        codes.append((words[1].rpartition("/")[2], code))
        asked.with_suffix(".done").write_text(str(code))
        asked.with_suffix(".done").rename(asked.with_suffix(".code"))

    def serve() -> None:
        done = set[Path]()
        while not ended.wait(0.02):
            there = set(place.glob("*.ask"))
            done &= there
            for asked in there - done:
                answer(asked)
                done.add(asked)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield script
    finally:
        ended.set()
        thread.join()


@contextmanager
def failing(workspace: Workspace) -> Iterator[None]:
    """The store is gone meanwhile."""
    away = workspace.store_root.with_name("away")
    workspace.store_root.rename(away)
    workspace.store_root.write_text("not a directory")
    try:
        yield
    finally:
        workspace.store_root.unlink()
        away.rename(workspace.store_root)


@whole
def test_a_server_that_archives_and_a_standby_that_lives_on_it(
    directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    config, codes = directory / "tabsync.toml", list[tuple[str, int]]()
    with relay(directory / "relay", config, codes) as script, ExitStack() as servers:
        archiving = {"archive_mode": "on", "archive_command": f"/bin/sh {script} push %p"}
        options = ["--wal-segsize=1", "--data-checksums", "--locale=C.UTF-8"]
        server = servers.enter_context(cluster(directory / "server", *options, **archiving))
        workspace = workspaces(server.conninfo())
        config.write_text(f'home = "{workspace.home}"\nstore = "{workspace.store_root}"\n')
        workspace.store().prepare()
        run_sql(server.conninfo(), "create table {} (id int)", "t")
        run_plan(workspace, plan_take_physical(workspace))
        first = insert(server, 1)
        until(lambda: first in stored(workspace)[0])
        with failing(workspace):
            second = insert(server, 2)
            with connect(server.conninfo(), "tests") as connection:
                failed = "select failed_count > 0 from pg_stat_archiver"
                until(lambda: connection.execute(failed).fetchall() == [(True,)])
        told = wal_status(workspace, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)
        assert f"archive_command has failed: {second}" in told["problems"][0]["what"]
        until(lambda: wal_status(workspace, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)["ok"])
        assert second in stored(workspace)[0]
        fetching = {"restore_command": f"/bin/sh {script} fetch %f %p", "wal_retrieve_retry_interval": "100ms"}
        standby = servers.enter_context(standby_of(server, "standby", primary_conninfo="", **fetching))

        def rows() -> list[int]:
            with connect(standby.conninfo(), "tests") as connection:
                return [row[0] for row in connection.execute("select id from t order by 1").fetchall()]

        until(lambda: rows() == [1, 2])
        with failing(workspace):
            third = insert(server, 3)
            codes.clear()
            until(lambda: (third, 1) in codes)  # 200 would end the standby
            wal_file = ["fetch", third, str(directory / "nothing"), "--system-identifier", identifier(workspace)]
            argv = [str(TABSYNC), "wal", *wal_file, "--config", str(config)]
            done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=30)
            assert (done.returncode, "could not be fetched: Not a directory" in done.stderr) == (200, True)
        empty = replace(workspace, store_root=directory / "not mounted", _open={})
        with pytest.raises(Refused, match="contains neither WAL nor backups"):
            fetch_into(empty, third, directory / "nothing", identifier(workspace))
        until(lambda: rows() == [1, 2, 3])
        with connect(standby.conninfo(), "tests") as connection:  # nothing was ever streamed to it
            connection.execute("select pg_create_physical_replication_slot('nobody', true)")
            kept = read_slot(connection, "nobody")
            assert kept is not None
            assert kept.retained_bytes is not None
            assert catalog.reached(connection)["time"] < iso(now())
        run_sql(standby.conninfo(), "select pg_promote()")
        fourth = insert(standby, 4)
        assert fourth.startswith("00000002")
        until(lambda: fourth in stored(workspace)[0])
        (found,) = window(workspace)["clusters"]
        assert [one["timeline"] for one in found["timelines"]] == [1, 2]
