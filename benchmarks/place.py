"""The database that is measured: the profile's own data at about 3 GB, or a SQL file of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.units import human_bytes
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import Installation
from tabsync.postgres.settings import Limits
from tabsync.system.account import reachable_place
from tabsync.system.claims import claim
from tabsync.system.programs import run_program

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured. bytes: of the database."""

    conninfo: str
    what: str
    bytes: int
    home: Path
    server: embedded.Server

    def __str__(self) -> str:
        """What it is, in words."""
        return f"{self.what}, {human_bytes(self.bytes)}"


@contextmanager
def subject(
    home: Path,
    orders: int,
    dataset: Path | None,
    installation: Installation | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[Subject]:
    """A running server with the data; made once per scale and kept below home, since that takes minutes.

    installation: the PostgreSQL to use, the embedded one by default; more: settings.
    """
    name = dataset.stem if dataset else f"orders-{orders}"
    name += f"-{installation.major}" if installation else ""
    settings = _SETTINGS | dict(more or {})
    held = claim(reachable_place(home / "servers") / name)
    if held is None:
        raise SystemExit(f"another benchmark uses {name}")
    embedded.end_server(held.directory)
    filled = held.directory / "filled"
    server = (
        embedded.opened(held.directory, settings=settings)
        if filled.exists()
        else embedded.create(held.directory, settings=settings, installation=installation)
    )
    embedded.start(server)
    try:
        if not filled.exists():
            _fill(server, orders, dataset)
            filled.touch()
        with connect(server.conninfo("bench"), "bench", limits=_NO_LIMIT, as_application=True) as connection:
            row = connection.execute("select pg_database_size(current_database())").fetchone()
        what = f"{dataset.name}" if dataset else f"the TabSync profile with {orders:,} orders"
        yield Subject(server.conninfo("bench"), what, int(row[0]) if row else 0, home, server)
    finally:
        embedded.stop(server)
        held.release()


_SETTINGS = {
    "shared_buffers": "1GB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "8GB",
    "max_locks_per_transaction": "256",  # pg_dump locks each of 10,000 tables
}


def _fill(server: embedded.Server, orders: int, dataset: Path | None) -> None:
    from tabsync.profiles.tabsync.generate import generate
    from tabsync.profiles.tabsync.migrate import apply_schema

    with connect(server.conninfo(), "bench", limits=_NO_LIMIT, as_application=True) as connection:
        connection.execute("drop database if exists bench")
        connection.execute("create database bench")
    if dataset:
        psql = server.installation.program("psql")
        env = libpq_environment(server.conninfo("bench"))
        done = run_program([psql, "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--quiet", f"--file={dataset}"], env=env)
        if done.code:
            raise SystemExit(done.complaint())
        return
    with connect(server.conninfo("bench"), "bench", limits=_NO_LIMIT, as_application=True) as connection:
        apply_schema(connection)
        generate(connection, orders=orders)
        connection.execute("vacuum analyze")
