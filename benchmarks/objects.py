"""The check after `restore new`, against pg_restore's own time: it may not grow with the square of the objects."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.measure import Measured
from benchmarks.place import Subject
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take import plan_take_full
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace

SIZES = (1_000, 10_000)
"""Tables; each with a sequence, a key, two indexes more, a check, a comment and a foreign key."""

BOUND = 0.1
_BATCH = 100  # tables in one transaction: each locks what it makes

_TABLE = sql.SQL(
    "create table {t} (id bigserial primary key, before int8 references {b}, name text unique,"
    " at timestamptz not null default now(), check (id > 0));"
    " create index on {t} (at); comment on table {t} is 'one of many'; insert into {t} (name) values ('row')"
)


def measure_objects(subject: Subject, say: Callable[[str], None]) -> list[Measured]:
    """For each size: make the tables, back them up, restore them with bare pg_restore and with us."""
    return [_measured(subject, tables, say) for tables in SIZES]


def _measured(subject: Subject, tables: int, say: Callable[[str], None]) -> Measured:
    say(f"{tables:,} tables: the check after restore new")
    name = f"objects_{tables}"
    place = subject.home / name
    shutil.rmtree(place, ignore_errors=True)
    _drop(subject, name)
    with psycopg.connect(subject.conninfo, autocommit=True) as connection:
        for database in (name, f"{name}_bare"):
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
    conninfo = make_conninfo(subject.conninfo, dbname=name)
    fill(conninfo, tables)
    workspace = Workspace(place, conninfo, place / "store", PROFILE_MANUAL, f"sqlite:///{place / 'ledger.sqlite'}")
    try:
        _run(workspace, plan_take_full(workspace))
        bare = _bare(subject, name)
        ours = _run(workspace, plan_restore_new(workspace, "latest", f"{name}_ours"))
    finally:
        workspace.close()
        shutil.rmtree(place, ignore_errors=True)
        _drop(subject, name)
    check = ours.seconds["verify"]
    note = f" ({check:.1f} s; pg_restore -j2 {bare:.1f} s)"
    what = f"The check after `restore new` of {tables:,} tables, against pg_restore"
    return Measured(what, check / bare, BOUND, "", note)


def _drop(subject: Subject, name: str) -> None:
    with psycopg.connect(subject.conninfo, autocommit=True) as connection:
        for database in (name, f"{name}_bare", f"{name}_ours"):
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))


def fill(conninfo: str, tables: int) -> None:
    """Make so many tables in a database."""
    with psycopg.connect(conninfo) as connection:
        for number in range(tables):
            names = {"t": sql.Identifier(f"t{number}"), "b": sql.Identifier(f"t{max(number - 1, 0)}")}
            connection.execute(_TABLE.format(**names))
            if number % _BATCH == _BATCH - 1:
                connection.commit()


def _bare(subject: Subject, name: str) -> float:
    """Seconds that PostgreSQL's own programs take for a restore of the same."""
    programs, dump = embedded(), subject.home / f"{name}.dump"
    shutil.rmtree(dump, ignore_errors=True)
    env = libpq_environment(make_conninfo(subject.conninfo, dbname=name))
    subprocess.run([str(programs.program("pg_dump")), "-Fd", "-j2", f"--file={dump}"], env=env, check=True)
    started = time.perf_counter()
    subprocess.run(
        [str(programs.program("pg_restore")), "-j2", f"--dbname={name}_bare", str(dump)], env=env, check=True
    )
    seconds = time.perf_counter() - started
    shutil.rmtree(dump)
    return seconds


def _run(workspace: Workspace, plan: Plan) -> Outcome:
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome
