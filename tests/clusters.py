"""New clusters for tests without running initdb each time: a copy of one that initdb made, with an identity of its own.

initdb takes a second of processor time and a suite makes hundreds of clusters. A copy would have the same system
identifier, by which clusters are told apart; so it gets a new one where it is written: in the control file, with its
checksum, and in the first page of the WAL. PostgreSQL checks both when it starts.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tabsync.postgres import embedded
from tabsync.system.account import Account

Initdb = Callable[[embedded.Server, Account, str], None]

_WAL_IDENTIFIER = 24  # its place in XLogLongPageHeaderData
_numbers = count(1)


def copied(initdb: Initdb, place: Path) -> Initdb:
    """What makes clusters in place of initdb: the first of each PostgreSQL by it, the others as copies of that."""

    def make(server: embedded.Server, account: Account, password: str) -> None:
        bindir = server.installation.program("initdb").parent
        template = place / str(bindir).replace("/", "-")
        with _alone(template):
            if not (template / "pgpass").exists():
                initdb(server, account, _quickly_checked(password))
                _copy(server.data, template / "data", sparse="always")
                shutil.copy2(server.directory / "pgpass", template / "pgpass")
                return
        server.data.rmdir()
        _copy(template / "data", server.data)
        (server.directory / "pgpass").write_bytes((template / "pgpass").read_bytes())
        _identify(server.data)

    return make


@contextmanager
def _alone(template: Path) -> Iterator[None]:
    """All workers of a run have one template: the first of them makes it, the others wait."""
    template.mkdir(parents=True, exist_ok=True)
    with (template / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _quickly_checked(password: str) -> str:
    """What a server keeps of a password, of one round instead of 4096: each session took 2 ms of processor time there.

    The password is the same, and long and random, so that the rounds guard nothing.
    https://www.postgresql.org/docs/current/catalog-pg-authid.html
    """
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored, kept = (base64.b64encode(key).decode() for key in (hashlib.sha256(client).digest(), server))
    return f"SCRAM-SHA-256$1:{base64.b64encode(salt).decode()}${stored}:{kept}"


def _copy(source: Path, target: Path, sparse: str = "auto") -> None:
    """Copy a cluster. sparse: "always" leaves out the zeros that end its WAL, which nobody copies then."""
    target.parent.mkdir(exist_ok=True, parents=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", f"--sparse={sparse}", source, target], check=True)


def _identify(data: Path) -> None:
    """Give a cluster another system identifier, made as initdb makes one: of the time, the process and more."""
    fresh = struct.pack("=Q", (int(time.time()) << 32) | ((os.getpid() & 0xFFFFF) << 12) | next(_numbers) & 0xFFF)
    path = data / "global" / "pg_control"
    control = bytearray(path.read_bytes())
    end = next(end for end in range(200, 500, 4) if _crc(control[:end]) == control[end : end + 4])
    control[:8] = fresh
    control[end : end + 4] = _crc(control[:end])
    with path.open("r+b") as file:
        file.write(control)
    for segment in (data / "pg_wal").glob("0*"):
        with segment.open("r+b") as file:
            file.seek(_WAL_IDENTIFIER)
            file.write(fresh)


def _crc(data: bytes | bytearray) -> bytes:
    """CRC-32C, as PostgreSQL takes it and writes it down."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return struct.pack("=I", crc ^ 0xFFFFFFFF)


def _entry(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


_TABLE = [_entry(number) for number in range(256)]
