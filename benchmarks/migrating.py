"""`migration status` of a history of 500, against what the tools say of it; what guard adds to a deployment."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import psycopg
from tests.postgres.deployments.site import site
from tests.postgres.migrations.projects import Alembic
from tests.prisma import Prisma
from tests.servers import running_server

from benchmarks.measure import TABSYNC, Measured, Series
from tabsync.postgres.embedded import Server

Act: TypeAlias = Callable[[], None]

MANY = 500
BOUND = 1.0
"""Seconds, with the start of the process."""

ADDS = 3.0
"""Seconds, beside backup and proof."""

_TABLE = (
    "create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null,"
    " finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,"
    " started_at timestamptz not null default now(), applied_steps_count int not null default 0)"
)
_ROW = (
    "insert into _prisma_migrations (id, checksum, finished_at, migration_name)"
    " values (gen_random_uuid(), %s, now(), %s)"
)


def measure_migrating(home: Path, rounds: int, say: Callable[[str], None]) -> tuple[list[Measured], list[Series]]:
    """Both tools, each with its history and its files."""
    place = home / "migrating"
    shutil.rmtree(place, ignore_errors=True)
    found: list[Measured] = []
    runs: list[Series] = []
    with running_server("migrating", max_connections="20") as server:
        for name, made in (("prisma", _prisma), ("alembic", _alembic)):
            say(f"{MANY} migrations of {name}")
            with psycopg.connect(server.conninfo(), autocommit=True) as session:
                session.execute(f"create database {name}".encode())
            directory = place / name
            directory.mkdir(parents=True)
            theirs, peer = made(directory, server)
            (directory / "tabsync.toml").write_text(f'database = "{server.conninfo(name)}"\n')
            both = Series(theirs), Series(f"tabsync migration status --folder . ({name})")
            _in_turns(((both[0], peer), (both[1], partial(_ours, directory))), rounds * 3)
            runs += both
            found.append(Measured(f"`{both[1].name}`", both[1].typical, BOUND, "s"))
            found.append(Measured(f"The same, against `{theirs}`", both[1].typical / both[0].typical, 1.0))
        say(f"A deployment under guard, in a database of {MANY} tables")
        both = _guarded(place / "guarded", server, rounds)
        runs += both
        found.append(
            Measured("What `migration guard` adds to a deployment", both[1].typical - both[0].typical, ADDS, "s")
        )
    shutil.rmtree(place)
    return found, runs


def _guarded(directory: Path, server: Server, rounds: int) -> tuple[Series, Series]:
    """The same deployment, of which nothing is pending, by itself and under guard."""
    directory.mkdir(parents=True)
    conninfo = server.conninfo("prisma")
    with psycopg.connect(conninfo, autocommit=True) as session:
        for number in range(MANY):
            session.execute(f"create table kept_{number} (id int primary key, name text)".encode())
    shop = site(directory, conninfo, conninfo)
    shop.migration("1_first", "create table if not exists first_one (id int primary key)")
    command = shop.command()

    def bare() -> None:
        subprocess.run(
            command, cwd=directory, env={"DATABASE_URL": conninfo, "PATH": ""}, check=True, capture_output=True
        )

    def guarded() -> None:
        code, out, err = shop.guard()
        assert code == 0, out + err

    both = Series("a deployment"), Series("the same under tabsync migration guard")
    bare()
    _in_turns(((both[0], bare), (both[1], guarded)), rounds * 3)
    return both


def _in_turns(turns: Sequence[tuple[Series, Act]], times: int) -> None:
    for number in range(times + 1):
        for series, act in turns:
            started = time.perf_counter()
            act()
            if number:  # the first one reads the files from disk
                series.seconds.append(time.perf_counter() - started)


def _ours(directory: Path) -> None:
    argv = [str(TABSYNC), "migration", "status", "--folder", "."]
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True)
    assert f"{MANY} applied, 0 pending" in done.stdout, done.stdout + done.stderr


def _prisma(directory: Path, server: Server) -> tuple[str, Act]:
    digests = {}
    for number in range(MANY):
        folder = directory / "migrations" / f"{20260101000000 + number}_step"
        folder.mkdir(parents=True)
        content = f'CREATE TABLE "step_{number}" (\n    "id" SERIAL NOT NULL,\n    PRIMARY KEY ("id")\n);\n' * 5
        (folder / "migration.sql").write_text(content)
        digests[folder.name] = hashlib.sha256(content.encode()).hexdigest()
    (directory / "migrations" / "migration_lock.toml").write_text('provider = "postgresql"\n')
    conninfo = server.conninfo("prisma")
    with psycopg.connect(conninfo) as session:
        session.execute(_TABLE.encode())
        session.cursor().executemany(_ROW.encode(), [(digest, name) for name, digest in digests.items()])
    prisma = Prisma(directory, conninfo, "model Plate {\n  id Int @id\n}\n")

    def peer() -> None:
        code, printed = prisma.migrate("status")
        assert (code, "up to date" in printed) == (0, True), printed

    return "prisma migrate status (its engine in WebAssembly)", peer


def _alembic(directory: Path, server: Server) -> tuple[str, Act]:
    alembic = Alembic(directory, server.conninfo("alembic"))
    for number in range(MANY):
        alembic.revision(f"r{number}", f"r{number - 1}" if number else None, f'op.execute("select {number}")')
    with psycopg.connect(server.conninfo("alembic")) as session:
        session.execute("create table alembic_version (version_num varchar(32) primary key)")
        session.execute("insert into alembic_version values (%s)", [f"r{MANY - 1}"])

    def peer() -> None:
        code, printed, complained = alembic.run(str(Path(sys.executable).with_name("alembic")), "current")
        assert (code, "(head)" in printed) == (0, True), complained

    return "alembic current", peer
