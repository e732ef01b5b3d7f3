"""Runs pg_basebackup and cuts what it sends into pieces that go into the store while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tabsync.backups.physical.base import BACKUP_MANIFEST
from tabsync.backups.physical.pack import Packer
from tabsync.backups.physical.pieces import BrokeOff, Cut, cut_tar
from tabsync.kernel.errors import FailedPartway
from tabsync.postgres.installation import Installation
from tabsync.system.child import child

Checkpoint = Literal["fast", "spread"]


def basebackup_command(
    clients: Installation, label: str, checkpoint: Checkpoint, *, to_files: bool, since: str = ""
) -> list[str]:
    """The exact pg_basebackup command; the connection goes through the environment.

    to_files: a tar for each tablespace in DIRECTORY, since only one can be streamed; since: a backup_manifest.
    https://www.postgresql.org/docs/current/app-pgbasebackup.html
    """
    command = [str(clients.program("pg_basebackup")), "--format=tar", "--wal-method=fetch", "--no-password"]
    command += [f"--checkpoint={checkpoint}", f"--label=tabsync {label}", "--manifest-checksums=CRC32C"]
    command += ["--pgdata=DIRECTORY", "--no-sync"] if to_files else ["--pgdata=-"]
    return [*command, f"--incremental={since}"] if since else command


def from_stream(command: list[str], env: dict[str, str], staged: Path, packer: Packer) -> Cut:
    """Take a base backup as one tar that is never on disk as a whole. Raises FailedPartway with the complaint."""
    with child(command, env=env, claim=staged, output=True) as running:
        try:
            cut = cut_tar(running.torrent(), staged, "base.tar", packer.lent, packer.pack)
        except BrokeOff:
            raise _failed(running.ended().complaint() or "its stream ended too early") from None
        done = running.ended()
    if done.code != 0 or BACKUP_MANIFEST not in cut.caught:
        raise _failed(done.complaint())
    return cut


def from_files(command: list[str], env: dict[str, str], staged: Path, packer: Packer) -> Cut:
    """With tablespaces there are several tars, which pg_basebackup only writes to a directory: it needs the room."""
    into = staged / "tars"
    words = [f"--pgdata={into}" if word == "--pgdata=DIRECTORY" else word for word in command]
    with child(words, env=env, claim=staged) as running:
        done = running.ended()
    if done.code != 0:
        raise _failed(done.complaint())
    whole = Cut()
    for tar in sorted(into.glob("*.tar")):
        with tar.open("rb") as source:
            cut = cut_tar(source, staged, tar.name, packer.lent, packer.pack)
        whole.bytes += cut.bytes
        tar.unlink()
    whole.caught[BACKUP_MANIFEST] = into / BACKUP_MANIFEST
    return whole


def _failed(complaint: str) -> FailedPartway:
    words = complaint.removeprefix("pg_basebackup: ").removeprefix("error: ")
    fact = f"pg_basebackup failed: {words}; no backup was recorded"
    if "manifest requires WAL from final timeline" in complaint:
        fact = "the standby has replayed no checkpoint since the parent backup; no backup was recorded"
        return FailedPartway(fact, "run it again after the next checkpoint of the primary (there: psql -c checkpoint)")
    if "full_page_writes=off" in complaint:
        fact = "full_page_writes is off on the primary: a standby can't be backed up"
        return FailedPartway(
            f"{fact}; no backup was recorded", "take the backup from the primary, or turn full_page_writes on there"
        )
    if "standby was promoted" in complaint:
        return FailedPartway("the standby was promoted during the backup; no backup was recorded", "run it again")
    if "WAL summaries are required" in complaint or "summar" in complaint:
        return FailedPartway(
            fact,
            "the server's WAL summaries do not reach back to the parent; take a full one: tabsync backup take physical",
        )
    if "max_wal_senders" in complaint:
        return FailedPartway(fact, "end another replication connection, or increase max_wal_senders")
    return FailedPartway(fact, "run it again; no incomplete backup is listed")
