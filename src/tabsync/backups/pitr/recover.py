"""The steps of restore to-time: lay the backup out, replay WAL to the target, say where it ended, keep the cluster."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.rows import dict_row

from tabsync.backups.physical.base import chain
from tabsync.backups.physical.lay_out import lay_out, programs_of
from tabsync.backups.pitr.clusters import own_conninfo, write_entry
from tabsync.backups.pitr.configure import settle
from tabsync.backups.pitr.feed import Feeder
from tabsync.backups.pitr.replay import LIMITS, own, replay, started_so_far
from tabsync.backups.pitr.target import Target, local
from tabsync.backups.wal.archive import fetch as wal_file
from tabsync.backups.wal.contents import read_archive
from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.step import Facts
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import without_defences
from tabsync.postgres.queries import named
from tabsync.stores.manifest import Manifest
from tabsync.system.account import server_account

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "pitr.sql")
_STOPPED = re.compile(r"LOG:\s+recovery stopping (.*)")


def fetch(context: Context, *, backup: str, name: str, directory: str, durable: bool = True) -> Facts:
    """Lay the backup out in the new cluster's directory, verified. Raises ProblemFound when it is damaged.

    durable: the cluster is to be kept.
    """
    workspace = context.workspace
    place = Path(directory)
    write_entry(workspace, name, state="making", directory=directory)
    workspace.hold(place)
    place.chmod(0o711)  # the server runs under another account when we are root
    store = workspace.store()
    manifests = store.manifests()[0]
    found = chain(store.manifest(backup), manifests)
    lay_out(store, found, place, context.report, durable=durable)
    return {"backups": [one.id for one in found], "bytes": sum(one.physical["bytes"] for one in found)}


def recover(
    context: Context,
    *,
    backup: str,
    directory: str,
    target: Facts,
    timeline: str,
    until: str | None,
    pause: bool,
    port: int | None,
    durable: bool,
) -> Facts:
    """Start the server, let it replay WAL to the target, and say where it ended.

    timeline: to follow, as recovery_target_timeline takes it; until: the moment up to which the store is known to have
    all its WAL. Raises ProblemFound when the target isn't in the
    WAL, FailedPartway when the server doesn't come up.
    """
    workspace = context.workspace
    manifest = workspace.store().manifest(backup)
    place, wanted = Path(directory), Target(**target)
    settings = {} if port is None else {"port": str(port)}
    server = embedded.Server(place, programs_of(int(manifest.source["version_num"]) // 10000), settings)
    identifier, size = str(manifest.source["system_identifier"]), int(manifest.physical["wal_segment_size"])
    started = time.monotonic()
    with Feeder(workspace.store(), identifier, place, server_account(), size) as feeder:

        def watch() -> None:
            doing, seconds = started_so_far(server.log)
            if doing.startswith("redo") or not doing:
                context.report(feeder.served, feeder.served, "WAL files replayed")
            else:  # "syncing data directory (syncfs)", "resetting unlogged relations (init)"
                context.report(seconds, seconds, f"s of {doing}")

        def to(goal: Target) -> bool:
            followed = goal.settings() | {"recovery_target_timeline": timeline}
            return replay(server, manifest, goal, followed, feeder, watch, pause=pause, durable=durable)

        if not to(wanted):
            # No commit came after it: then the end of the WAL is that moment, if the WAL reaches it.
            to(replace(wanted, kind="latest"))
        if port is not None:
            (place / "port").write_text(str(port))
        facts = _reached(server, manifest, wanted, until)
    return facts | {"segments": feeder.served, "seconds": time.monotonic() - started, "paused": pause}


def check(context: Context, *, backup: str, directory: str) -> Facts:
    """Connect to each database of the new cluster and count its tables: it answers, and its catalogs are readable."""
    manifest = context.workspace.store().manifest(backup)
    answered = []
    with connect(own(Path(directory), manifest, "postgres"), "restore", limits=LIMITS) as connection:
        names = [row[0] for row in connection.execute(_SQL["databases"]).fetchall()]
    for name in names:
        with connect(own(Path(directory), manifest, name), "restore", limits=LIMITS) as connection:
            row = connection.execute(_SQL["tables"]).fetchone()
            answered.append({"database": name, "tables": row[0] if row else 0})
    return {"databases": answered}


def keep(context: Context, *, backup: str, name: str, directory: str, target: Facts) -> Facts:
    """Let the cluster go on without us: from here on it isn't taken away any more."""
    workspace = context.workspace
    manifest = workspace.store().manifest(backup)
    place, wanted = Path(directory), Target(**target)
    if not context.results["recover"]["paused"]:
        settle(place, programs_of(int(manifest.source["version_num"]) // 10000))
        server_account().own(place / "data" / "postgresql.conf")
        with connect(own(place, manifest, "postgres"), "restore", limits=LIMITS) as connection:
            connection.execute(_SQL["reload"])
        shutil.rmtree(place / "wal")
        (place / "fetch.sh").unlink()
    else:
        _leave_histories(workspace, manifest, place / "data" / "pg_wal")
    superuser, database = manifest.physical["superuser"], manifest.source["database"]
    facts = {"directory": directory, "superuser": superuser, "database": database, "backup": backup}
    facts |= {"target": str(wanted), "reached": context.results["recover"]}
    write_entry(workspace, name, state="restored", **facts)
    workspace.release(place)
    conninfo = without_defences(own_conninfo(place, superuser, database))
    return {"name": name, "directory": directory, "conninfo": conninfo}


def _leave_histories(workspace: Workspace, manifest: Manifest, place: Path) -> None:
    """Let a cluster that waits see which timelines there are: opened without us, it must not take one of their numbers.

    https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
    """
    store, identifier = workspace.store(), str(manifest.source["system_identifier"])
    for timeline in read_archive(store, identifier, int(manifest.physical["wal_segment_size"])).histories:
        target = place / f"{timeline:08X}.history"
        if not target.exists() and wal_file(store, identifier, target.name, target):
            server_account().own(target)


def tidy(context: Context, *, name: str, directory: str) -> Facts:
    """Take away what was half restored; nothing when the cluster was kept."""
    from tabsync.backups.pitr.clusters import entry_path

    workspace = context.workspace
    if "keep" in context.results:
        return {"kept": True}
    embedded.end_server(Path(directory))
    workspace.delete(Path(directory))
    entry_path(workspace, name).unlink(missing_ok=True)
    return {"kept": False}


def _reached(server: embedded.Server, manifest: Manifest, wanted: Target, until: str | None) -> Facts:
    """Where recovery ended, and whether that is the target: told by the server, or by what the WAL is known to hold."""
    with (
        connect(own(server.directory, manifest, "postgres"), "restore", limits=LIMITS) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        row = cursor.execute(_SQL["reached"]).fetchone() or {}
    log = server.log.read_text(errors="replace")
    stopped = _STOPPED.findall(log)
    known = parse_iso(until) if until else None
    if stopped:
        sure, why = True, f"stopped {stopped[-1]}"
    elif wanted.kind == "latest":
        sure, why = True, "replayed all WAL that the store has"
    elif wanted.kind != "time":
        sure, why = False, "the server's log does not confirm that it stopped there"
    else:
        moment = parse_iso(wanted.value)
        sure = known is not None and known >= moment
        why = "no transaction was committed between the last one and this time"
        if not sure:
            why = f"the WAL ends before it; it is complete until {local(known) if known else 'an unknown time'}"
    last = row["last_commit"]
    return {
        "reached": sure,
        "why": why,
        "lsn": row["lsn"],
        "last_commit": iso(last) if last else None,
        "timeline": row["timeline"],
    }
