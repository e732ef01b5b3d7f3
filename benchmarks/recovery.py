"""What a backup is for: away to an object store, back into a server, one user back, and how little is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.measure import TABSYNC, Figures, Measured, Series, ours, run_bare
from benchmarks.place import Subject
from benchmarks.watch import Watched, size_of, watched
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import embedded
from tabsync.postgres.settings import Limits
from tests import emulators

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
_MB = 1_000_000

Say = Callable[[str], None]


def away(subject: Subject, figures: Figures, rounds: int, say: Say) -> list[Measured]:
    """Full backups to Azurite, each into a container that is empty, against a dump that a person uploads, in turns."""
    runs: list[Watched] = []
    bare = Series("pg_dump -Fd -j2 --compress=zstd:1, to disk")
    person = Series("the same, then 8 puts at a time")
    theirs = 0.0
    shutil.rmtree(subject.home / "state", ignore_errors=True)  # the first round makes the ledger, as on the first day
    with emulators.running("az") as azurite:
        azurite.make_container("backups")
        for number in range(rounds):
            say(f"to Azurite, {number + 1} of {rounds}")
            run_bare(subject, bare)
            sizes = [path.stat().st_size for path in (subject.home / "out" / "dump").iterdir()]
            upload = [sys.executable, "-m", "benchmarks.person", str(subject.home / "out" / "dump")]
            sent = watched([*upload, f"az://backups/person-{number}"], azurite.environment)
            person.seconds.append(bare.seconds[-1] + sent.seconds)
            shutil.rmtree(subject.home / "out")
            before = azurite.cpu_seconds()
            env = ours(subject, subject.home / "out") | azurite.environment
            argv = [str(TABSYNC), "backup", "take", "full", "--json", "--store", f"az://backups/{number}"]
            runs.append(watched(argv, env, subject.home / "state" / "staging"))
            theirs += (azurite.cpu_seconds() - before) / rounds
    series = Series("tabsync backup take full --store az://...", [one.seconds for one in runs])
    figures.more += [series, person, bare]
    note = f"; Azurite itself takes {theirs:.1f} s of processor time on the same cores"
    staged, memory = max(one.staged for one in runs), max(one.memory for one in runs)
    own = median(one.cpu for one in runs) - median(bare.cpu)
    room = sum(sorted(sizes)[-2:])
    found = [
        Measured("Full backup to Azurite, against a dump that a person uploads", series.typical / person.typical, 0.9),
        Measured("Our own processor time beside pg_dump's, for 590 MB", own * 590 * _MB / bare.bytes, 1.5, "s", note),
        Measured("Scratch disk that it used, against its two largest files", staged / room, 1.0),
        Measured("Memory that it used", memory / _MB, 300, "MB"),
    ]
    if figures.custom.seconds:
        ratio = series.typical / figures.custom.typical
        found.insert(1, Measured("The same, against `pg_dump --format=custom`", ratio, 1 / 6))
    return found


def deduplicated(subject: Subject, say: Say) -> list[Measured]:
    """What a second backup stores after 1 % of one table has changed, and a third after nothing has."""
    say("second and third backup")
    place = subject.home / "out"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    env = ours(subject, place)
    take = [str(TABSYNC), "backup", "take", "full", "--json"]
    sizes = []
    for number in range(3):
        if number == 1:
            with connect(subject.conninfo, "bench", limits=_NO_LIMIT, as_application=True) as connection:
                connection.execute("update payments set updated_at = now() where random() < 0.01")
        watched(take, env)
        sizes.append(size_of(place / "store" / "objects"))
    show = watched([str(TABSYNC), "backup", "show", "latest", "--json"], env).told
    table = next(file["bytes"] for file in show["files"] if file["table"] == "payments")
    contents = next(file["bytes"] for file in show["files"] if file["name"] == "toc.dat")
    second, third = sizes[1] - sizes[0] - contents, sizes[2] - sizes[1]
    what = "Second backup, 1 % of payments changed: stored beside its table of contents, against that table's file"
    return [
        Measured(what, second / table, 1.0),
        Measured("Third backup, nothing changed: stored", third / _MB, 1.0, "MB"),
    ]


def restored(subject: Subject, figures: Figures, say: Say) -> list[Measured]:
    """The seed's pg_restore into a new database, against ours into a scratch server until it answers."""
    say("pg_restore of the custom dump")
    env = {**os.environ, **libpq_environment(subject.conninfo), "PGDATABASE": "postgres"}
    programs = embedded()
    with connect(subject.conninfo, "bench", limits=_NO_LIMIT, as_application=True) as connection:
        connection.execute("drop database if exists bench_restored")
        connection.execute("create database bench_restored template template0")
    os.sync()
    started = time.perf_counter()
    argv = [str(programs.program("pg_restore")), "--dbname=bench_restored", str(figures.custom_file)]
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
    peer = Series("pg_restore (the first manual's)", [time.perf_counter() - started])
    with connect(subject.conninfo, "bench", limits=_NO_LIMIT, as_application=True) as connection:
        connection.execute("drop database bench_restored")
    own = Series("tabsync drill, until the copy answers", list(figures.drill_rto))
    figures.more += [peer, own]
    return [
        Measured(
            "Restore into scratch until it answers, against the first manual's pg_restore",
            median(own.seconds) / peer.typical,
            0.7,
        )
    ]
