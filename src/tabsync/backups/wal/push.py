"""tabsync wal push and wal fetch: for servers that archive by archive_command, and recover by restore_command.

PostgreSQL takes 0 for done, 1 to 125 for "not now" (push) or "not there" (fetch), and ends recovery on more than that:
https://www.postgresql.org/docs/current/continuous-archiving.html
"""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.wal.archive import check_segment, fetch, header_of, store_file
from tabsync.backups.wal.names import LEFT, OTHERS, SEGMENT
from tabsync.kernel.errors import BadUsage, FailedPartway

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def push(workspace: Workspace, path: Path) -> bool:
    """Store a finished WAL file; False when the same was there already.

    Raises Refused when another content is there under its name, ProblemFound when it isn't what its name says.
    """
    if not path.is_file():
        raise BadUsage(f"there is no file {path}", "set archive_command = 'tabsync wal push %p'")
    if SEGMENT.fullmatch(path.name) or LEFT.fullmatch(path.name):
        check_segment(path)
        identifier = header_of(path).system_identifier
    elif OTHERS.fullmatch(path.name):
        identifier = _control_identifier(path)
    else:
        raise BadUsage(f"{path.name} is not a WAL file", "set archive_command = 'tabsync wal push %p'")
    store = workspace.store()
    return store_file(store, identifier, path, workspace.home / "wal" / f"pushed-{identifier}")


def fetch_into(workspace: Workspace, name: str, target: Path, system_identifier: str = "") -> bool:
    """Bring a WAL file to where PostgreSQL wants it; False when the store doesn't have it.

    Raises FailedPartway when the store or the disk fails, else as archive.fetch does.
    """
    identifier = system_identifier or _control_identifier(target)
    pending = target.with_name(f".{target.name}.tabsync")
    try:
        if not fetch(workspace.store(), identifier, name, pending):
            return False
        pending.rename(target)
        return True
    except OSError as error:
        fact = f"{name} could not be fetched: {error.strerror}: {error.filename or target}"
        raise FailedPartway(fact, "check the store and the server's disk") from error
    finally:
        with suppress(OSError):
            pending.unlink(missing_ok=True)


def failure_code(target: Path) -> int:
    """The exit code of a fetch that failed, by the server that asks for it to be put at a path.

    A recovery would take 1 for the end of the WAL and open the cluster without what comes after. A standby asks again,
    and streams meanwhile; anything above 125 would end it.
    """
    return 1 if any((data / "standby.signal").exists() for data in _data_directories(target)) else 200


def _data_directories(path: Path) -> tuple[Path, Path]:
    """Where the data directory may be: PostgreSQL runs these commands in it, with a path below it."""
    return Path.cwd(), path.resolve().parent.parent


def _control_identifier(path: Path) -> str:
    """The cluster's identifier, from its control file: PostgreSQL runs these commands in the data directory."""
    for data in _data_directories(path):
        control = data / "global" / "pg_control"
        if control.is_file():
            with control.open("rb") as file:
                identifier: int = struct.unpack("=Q", file.read(8))[0]
                return str(identifier)
    raise BadUsage(
        f"the cluster that {path.name} belongs to is unknown",
        "run it in the data directory, or name the cluster: --system-identifier",
    )
