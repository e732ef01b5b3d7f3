"""When something is gone: one user, or the server with its disk."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from tests.servers import running_server
from tests.vanish import lose_the_server

from benchmarks.measure import TABSYNC, Measured, ours
from benchmarks.place import Subject
from benchmarks.recovery import Say
from benchmarks.watch import watched
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
_RATE = 500  # transactions a second
_FLUSH = 10  # seconds: what wal receive promises


def rows(subject: Subject, rounds: int, say: Say) -> list[Measured]:
    """One deleted user back; the backup is the newest of the measurements before, if there were any."""
    env = ours(subject, subject.home / "out")
    if not (subject.home / "out" / "store").exists():
        say("a backup")
        watched([str(TABSYNC), "backup", "take", "full", "--json"], env)
    found = []
    for source in ("latest", "warm"):
        if source == "warm":
            say("a drill that keeps its copy warm")
            watched([str(TABSYNC), "drill", "--backup", "latest", "--keep-warm", "--json"], env)
        seconds = []
        for number in range(rounds):
            say(f"a user back from {source}, {number + 1} of {rounds}")
            user = _delete_a_user(subject)
            argv = [str(TABSYNC), "restore", "rows", "--table", "users", "--where", f"id = '{user}'"]
            seconds.append(watched([*argv, "--from", source, "--yes", "--json"], env).seconds)
            _must_be_back(subject, user)
        bound = 15 if source == "latest" else 2
        where = "the backup" if source == "latest" else "the warm copy"
        found.append(Measured(f"One deleted user back, from {where}", median(seconds), bound, "s"))
    shutil.rmtree(subject.home / "state", ignore_errors=True)
    return found


def _delete_a_user(subject: Subject) -> str:
    with connect(subject.conninfo, "bench", limits=_NO_LIMIT, as_application=True) as connection:
        connection.execute("set session_replication_role = replica")  # as if nothing had stopped it
        row = connection.execute("delete from users where id = (select id from users limit 1) returning id").fetchone()
    if row is None:
        raise SystemExit("there is no user to delete")
    return str(row[0])


def _must_be_back(subject: Subject, user: str) -> None:
    with connect(subject.conninfo, "bench", limits=_NO_LIMIT, as_application=True) as connection:
        if connection.execute("select from users where id = %s", [user]).fetchone() is None:
            raise SystemExit("the user did not come back")


def lost(rounds: int, say: Say) -> list[Measured]:
    """Commits lost when server, disk and receiver vanish under load, by canaries in the WAL."""
    gone_for = []
    for number in range(rounds):
        say(f"server and disk vanish, {number + 1} of {rounds}")
        settings = {"wal_level": "replica", "max_wal_senders": "5", "synchronous_commit": "on", "max_connections": "40"}
        with running_server("vanish", **settings) as server, tempfile.TemporaryDirectory(prefix="tabsync-") as place:
            home = Path(place) / "home"
            ledger = f"sqlite:///{home / 'ledger.sqlite'}"
            workspace = Workspace(home, server.conninfo(), Path(place) / "store", PROFILE_MANUAL, ledger)
            env = {**os.environ, **libpq_environment(server.conninfo())}
            pgbench = str(server.installation.program("pgbench"))
            fill = [pgbench, "--initialize", "--quiet", "--scale=5"]
            subprocess.run(fill, env=env, check=True, stderr=subprocess.DEVNULL)
            load = [pgbench, "--client=4", "--jobs=1", f"--rate={_RATE}", "--time=60", "--no-vacuum"]
            with subprocess.Popen(load, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                seconds = random.uniform(1.2, 2.2) * _FLUSH
                gone = lose_the_server(workspace, server, seconds=seconds, every=0.05, flush=_FLUSH)
                process.kill()
            workspace.close()
            gone_for.append(gone.seconds)
    what = f"Commits lost when server and disk vanish under {_RATE} transactions a second, the worst of {rounds}"
    return [Measured(what, max(gone_for), _FLUSH, "s")]
