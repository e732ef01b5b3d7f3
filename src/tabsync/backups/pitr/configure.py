"""The configuration of a restored cluster: ours alone, so that a copy never acts as the original would.

Nothing that the source had configured is in force: no archiving into the original's archive, no standby that commits
wait for, no libraries whose workers start jobs, no subscriptions. Its files are kept beside ours, as *.source.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from tabsync.kernel.errors import FailedPartway
from tabsync.postgres.installation import Installation
from tabsync.system.programs import run_program

_MB = 1 << 20
_LEAST_WAL = 80  # MB; PostgreSQL's own min_wal_size

_MINIMUM = {
    # A hot standby must have as much of these as the source had: what is replayed may need it.
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}

_SYNCFS_SINCE = (5, 8)  # before this Linux, syncfs may not tell of an error

_HBA = """# Written by TabSync: the account that restored this cluster may log in as its superuser over the socket,
# without a password, and may take backups and WAL; all others need the password that they have at the source.
local all "{superuser}" peer map=tabsync
local replication "{superuser}" peer map=tabsync
local all all md5
host all all 127.0.0.1/32 md5
host all all ::1/128 md5
"""


def configure(
    directory: Path, installation: Installation, superuser: str, recovery: Mapping[str, str], *, durable: bool
) -> None:
    """Write postgresql.conf, pg_hba.conf, pg_ident.conf and recovery.signal into directory/data.

    recovery: restore_command and the target; durable: the cluster is to be kept, so it must survive a crash.
    """
    data = directory / "data"
    for name in ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"):
        if (data / name).exists() and not (data / f"{name}.source").exists():
            (data / name).rename(data / f"{name}.source")
    settings = _settings(data, installation, durable=durable) | dict(recovery)
    lines = [f"{name} = {_quoted(value)}" for name, value in settings.items()]
    (data / "postgresql.conf").write_text("# Written by TabSync for a restored cluster.\n" + "\n".join(lines) + "\n")
    (data / "postgresql.auto.conf").write_text("")
    (data / "pg_hba.conf").write_text(_HBA.format(superuser=superuser.replace('"', '""')))
    (data / "pg_ident.conf").write_text(f'tabsync {pwd.getpwuid(os.geteuid()).pw_name} "{superuser}"\n')
    (data / "standby.signal").unlink(missing_ok=True)
    (data / "recovery.signal").touch()


def settle(directory: Path, installation: Installation) -> None:
    """Take the recovery settings out again, once the cluster is on its own."""
    data = directory / "data"
    settings = _settings(data, installation, durable=True)
    lines = [f"{name} = {_quoted(value)}" for name, value in settings.items()]
    (data / "postgresql.conf").write_text("# Written by TabSync for a restored cluster.\n" + "\n".join(lines) + "\n")


def falls_short(directory: Path, installation: Installation) -> bool:
    """Whether the source had more of what a recovery needs than is configured: it raised that later, in the WAL.

    The control file keeps up with the WAL that is replayed.
    """
    data = directory / "data"
    written = dict(re.findall(r"^(\w+) = '(\d+)'$", (data / "postgresql.conf").read_text(), re.MULTILINE))
    now = _minimum(data, installation)
    return any(int(now[name]) > int(written.get(name, 0)) for name in _MINIMUM.values())


def _settings(data: Path, installation: Installation, *, durable: bool) -> dict[str, str]:
    memory = psutil.virtual_memory().available // _MB
    settings = _minimum(data, installation) | {
        "shared_buffers": f"{max(64, min(1024, memory // 8))}MB",
        "max_wal_size": "4GB",
        "archive_mode": "off",
        "max_logical_replication_workers": "0",
        "shared_preload_libraries": "",
        "synchronous_standby_names": "",
        "ssl": "off",
        "lc_messages": "C",
        "log_timezone": "UTC",
        "wal_level": "replica",
        "log_startup_progress_interval": "1s",  # recover.py reads it
    }
    if durable and _has_syncfs(installation):
        settings["recovery_init_sync_method"] = (
            "syncfs"  # in place of opening every file: minutes, where there are many
        )
    return settings if durable else settings | {"fsync": "off", "synchronous_commit": "off", "autovacuum": "off"}


def _minimum(data: Path, installation: Installation) -> dict[str, str]:
    done = run_program([installation.program("pg_controldata"), f"--pgdata={data}"])
    if done.code != 0:
        raise FailedPartway(
            f"pg_controldata failed: {done.complaint()}",
            "take a new backup: the control file of this one can't be used",
        )
    found = dict(re.findall(r"^(\w+) setting:\s+(\S+)$", done.stdout, re.MULTILINE))
    segment = int(re.findall(r"^Bytes per WAL segment:\s+(\d+)$", done.stdout, re.MULTILINE)[0]) // _MB
    return {setting: found[name] for name, setting in _MINIMUM.items()} | {
        "min_wal_size": f"{max(_LEAST_WAL, 2 * segment)}MB",  # or it doesn't start
    }


def _has_syncfs(installation: Installation) -> bool:
    """Whether the server may flush whole file systems at its start.

    https://www.postgresql.org/docs/current/runtime-config-error-handling.html
    """
    numbers = re.findall(r"\d+", platform.release())
    if sys.platform != "linux" or tuple(map(int, numbers[:2])) < _SYNCFS_SINCE:
        return False
    name = "recovery_init_sync_method"
    argv: list[str | Path] = [installation.program("postgres"), "-C", name, "-c", f"{name}=syncfs"]
    return run_program([*argv, "-c", "config_file=/dev/null", "-D", "/"]).code == 0  # it reads nothing there


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
