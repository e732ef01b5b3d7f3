"""Physical backups and the cluster back from them, in turns with pgBackRest where that is installed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measure import TABSYNC, Figures, Measured, Series, ours
from benchmarks.place import Subject, subject
from benchmarks.recovery import Say
from benchmarks.watch import size_of, watched
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.postgres.installation import Installation, installations
from tabsync.postgres.settings import Limits
from tabsync.system.account import reachable_place, server_account
from tabsync.system.claims import claim
from tabsync.system.programs import run_program

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
_SPEAKS = 15  # the newest PostgreSQL that Debian 12's pgBackRest knows
_MB = 1_000_000


def measure_physical(
    home: Path, orders: int, dataset: Path | None, dumps: Figures | None, rounds: int, say: Say
) -> tuple[str, list[Measured], list[Series]]:
    """Says on what it measured, the figures against their bounds, and the runs. dumps: of the same run, if they ran."""
    peer = _peer()
    place = reachable_place(home / "servers") / "pgbackrest"
    config = place / "pgbackrest.conf"
    push = f"pgbackrest --config={config} --stanza=bench archive-push %p"
    more = {"archive_mode": "on", "archive_command": push} if peer else {}
    say("the data, and a server for it (minutes, the first time)")
    with subject(home, orders, dataset, peer, more) as measured:
        rest = PgBackRest(place, measured) if peer else None
        if rest is not None:
            rest.prepare()
        runs = _Runs()
        for number in range(rounds):
            say(f"physical backups, {number + 1} of {rounds}")
            _round(measured, runs, rest)
        version = f"PostgreSQL {measured.server.installation.dotted}"
        what = f"{measured}, {version}" + (f", {rest.version()}, process-max=2, zst:1" if rest else "")
        if rest is not None:
            runs.theirs.bytes = size_of(place / "repository")
            shutil.rmtree(place)
    return what, _bounds(runs, rest is not None, dumps), [one for one in runs.all() if one.seconds]


class _Runs:
    def __init__(self) -> None:
        self.theirs = Series("pgbackrest --type=full backup")
        self.first = Series("tabsync backup take physical")
        self.second = Series("the same again, nothing changed")
        self.theirs_back = Series("pgbackrest restore, and the server until it answers")
        self.back = Series("tabsync restore to-time latest")
        self.memory: list[int] = []
        self.stored: list[int] = []

    def all(self) -> list[Series]:
        return [self.theirs, self.first, self.second, self.theirs_back, self.back]


def _round(measured: Subject, runs: _Runs, rest: PgBackRest | None) -> None:
    place = measured.home / "out"
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(measured.home / "state", ignore_errors=True)
    place.mkdir()
    env = ours(measured, place)
    take = [str(TABSYNC), "backup", "take", "physical", "--json"]
    with connect(measured.conninfo, "bench", limits=_NO_LIMIT, as_application=True) as connection:
        connection.execute("checkpoint")
    if rest is not None:
        runs.theirs.seconds.append(rest.back_up())
    for series in (runs.first, runs.second):
        took = watched(take, env)
        series.seconds.append(took.seconds)
        runs.memory.append(took.memory)
        runs.stored.append(size_of(place / "store" / "objects"))
    runs.first.bytes = runs.stored[-2]
    if rest is not None:
        runs.theirs_back.seconds.append(rest.bring_back())
    back = [str(TABSYNC), "restore", "to-time", "latest", "--as", "bench", "--json"]
    runs.back.seconds.append(watched(back, env).seconds)
    watched([str(TABSYNC), "restore", "drop", "bench", "--yes", "--json"], env)
    shutil.rmtree(place)


def _bounds(runs: _Runs, with_peer: bool, dumps: Figures | None) -> list[Measured]:
    found = []
    if with_peer:
        found.append(Measured("Physical backup, against pgBackRest", runs.first.typical / runs.theirs.typical, 1.0))
        ratio = runs.back.typical / runs.theirs_back.typical
        found.append(Measured("Restore from it until it answers, against pgBackRest", ratio, 1.0))
    again = runs.second.typical / runs.first.typical
    found.append(Measured("Second physical backup, nothing changed, against the first", again, 0.5))
    more = median(b - a for a, b in zip(runs.stored[::2], runs.stored[1::2], strict=True))
    found.append(Measured("What it stored, against the first", more / runs.first.bytes, 0.05))
    found.append(Measured("Memory that they used", max(runs.memory) / _MB, 300, "MB"))
    restores = [one for one in dumps.more if one.name.startswith("pg_restore")] if dumps else []
    if restores:
        what = "Restore from a physical backup until it answers, against the first manual's pg_restore"
        found.append(Measured(what, runs.back.typical / restores[0].typical, 0.2))
    return found


def _peer() -> Installation | None:
    """The PostgreSQL that pgBackRest can look after, if both are installed."""
    if shutil.which("pgbackrest") is None:
        return None
    return next((one for one in installations() if one.major == _SPEAKS and one.has_server), None)


@dataclass(frozen=True, slots=True)
class PgBackRest:
    """pgBackRest with a repository below a directory, for one cluster."""

    place: Path
    measured: Subject

    def prepare(self) -> None:
        """Make its configuration and its stanza."""
        shutil.rmtree(self.place, ignore_errors=True)
        server = self.measured.server
        words = dict(part.split("=", 1) for part in server.conninfo().split())
        for name in ("repository", "log", "lock", "spool"):
            (self.place / name).mkdir(parents=True)
        (self.place / "pgbackrest.conf").write_text(
            f"[global]\nrepo1-path={self.place}/repository\nlog-path={self.place}/log\nlock-path={self.place}/lock\n"
            f"spool-path={self.place}/spool\nprocess-max=2\ncompress-type=zst\ncompress-level=1\nstart-fast=y\n"
            f"repo1-retention-full=1\nlog-level-console=error\n[bench]\npg1-path={server.data}\n"
            f"pg1-socket-path={words['host']}\npg1-port={words['port']}\npg1-user={words['user']}\npg1-database=postgres\n"
        )
        shutil.copy(words["passfile"], self.place / "pgpass")
        for path in (self.place, *self.place.iterdir()):
            server_account().own(path)
        (self.place / "pgpass").chmod(0o600)
        self._run("stanza-create")

    def version(self) -> str:
        """What it calls itself."""
        return run_program(["pgbackrest", "version"]).stdout.strip()

    def back_up(self) -> float:
        """A full backup; seconds."""
        return self._run("--type=full", "backup")

    def bring_back(self) -> float:
        """Restore the newest backup beside, and start a server in it until it has recovered; seconds."""
        with self._copy() as server:
            seconds = self._run(f"--pg1-path={server.data}", "--archive-mode=off", "restore")
            started = time.perf_counter()
            embedded.start(server)
            recovering = True
            while recovering:
                with connect(server.conninfo(), "bench", limits=_NO_LIMIT, as_application=True) as connection:
                    row = connection.execute("select pg_is_in_recovery()").fetchone()
                    recovering = bool(row and row[0])
            return seconds + time.perf_counter() - started

    @contextmanager
    def _copy(self) -> Iterator[embedded.Server]:
        held = claim(self.place.with_name("pgbackrest-copy"))
        if held is None:
            raise SystemExit("another benchmark restores with pgBackRest")
        source = self.measured.server
        # Recovery needs no fewer locks and workers than its source had.
        settings = dict(source.settings) | {"shared_buffers": "1GB", "max_wal_size": "4GB"}
        server = embedded.Server(held.directory, source.installation, settings)
        server.data.mkdir(mode=0o700)
        server_account().own(server.data)
        held.directory.chmod(0o711)
        shutil.copy(source.directory / "pgpass", server.directory / "pgpass")
        try:
            yield server
        finally:
            embedded.end_server(server.directory)
            held.remove()

    def _run(self, *words: str) -> float:
        config = self.place / "pgbackrest.conf"
        run_program(["sync"])
        started = time.perf_counter()
        argv = ["pgbackrest", f"--config={config}", "--stanza=bench", *words]
        env = {"PGPASSFILE": str(self.place / "pgpass")}
        done = run_program(argv, env=env, account=server_account())
        if done.code:
            raise SystemExit(f"{' '.join(argv)}: {done.stdout}{done.complaint()}")
        return time.perf_counter() - started
