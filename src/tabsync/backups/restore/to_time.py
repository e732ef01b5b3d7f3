"""tabsync restore to-time: a new cluster as it was at a moment, beside the damaged one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.physical.base import chain
from tabsync.backups.physical.checks import check_replication
from tabsync.backups.physical.lay_out import programs_of
from tabsync.backups.pitr.clusters import entry_path
from tabsync.backups.pitr.recover import check, fetch, keep, recover, tidy
from tabsync.backups.pitr.target import Target, choose, local
from tabsync.backups.pitr.timelines import with_first_commits
from tabsync.backups.wal.contents import Archive
from tabsync.backups.wal.names import USUAL_SIZE
from tabsync.backups.wal.window import Base, Cluster, clusters
from tabsync.kernel.clock import compact, iso, now, parse_iso
from tabsync.kernel.errors import BadUsage, CannotConnect, NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.postgres.conninfo import check_conninfo
from tabsync.stores.manifest import Manifest
from tabsync.system.account import server_account

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_HERE = "tabsync.backups.pitr.recover"


def plan_to_time(
    workspace: Workspace,
    target: Target,
    *,
    into: Path | None = None,
    port: int | None = None,
    pause: bool = False,
    name: str = "",
    timeline: int | None = None,
) -> Plan:
    """Plan to recover the cluster to a target, into a new directory and a server of its own, which stays.

    into: the directory, a new one below our home by default; port: for TCP on this machine, a free one by default;
    pause: stop at the target without opening the cluster for writing; name: what it is called here;
    timeline: the one to stay on, where the cluster's WAL has several; by default as choose() says.
    Raises NotAllowed when the backup is encrypted and no identity opens it, Refused when the target can't be recovered
    to (with what can), or there is no room for it; a managed server is refused, since it gives nobody its WAL. Nothing
    is changed.
    """
    workspace.keys.check()
    cluster = cluster_meant(workspace)
    if target.kind == "time" and timeline is None:
        cluster = with_first_commits(workspace.store(), cluster, parse_iso(target.value))
    base = choose(cluster, target, timeline)
    workspace.keys.require_identity(base.manifest.encryption.get("recipients", ()))
    name = name or _free_name(workspace)
    if entry_path(workspace, name).exists():
        raise Refused(f"a restored cluster {name} already exists", "to list them: tabsync restore clusters")
    directory = _directory(workspace, name, into)
    manifests = [one.manifest for one in cluster.bases]
    _check_room(directory, chain(base.manifest, manifests))
    return Plan(
        procedure="restore to-time",
        title=f"Recover the cluster to {target}{_timeline(base)} from backup {base.manifest.id}",
        target=base.manifest.source,
        steps=recover_steps(base, target, name, directory, port=port, pause=pause),
    )


def cluster_meant(workspace: Workspace) -> Cluster:
    """The cluster of the workspace's database: asked of the server, or, when that is gone, of the store by name."""
    found = clusters(workspace.store())
    try:
        with workspace.connect("restore") as connection:
            identifier = check_replication(connection, workspace.conninfo)
    except (CannotConnect, NotAllowed):
        wanted = check_conninfo(workspace.conninfo).get("dbname")
        named = [one for one in found if wanted in one.to_json()["databases"]] or found
        if len(named) == 1:
            return named[0]
        if named:
            raise BadUsage(
                f"the server does not answer, and the store has {len(named)} clusters with this database",
                "name the database: --database 'dbname=shop'",
            ) from None
        raise Refused(
            "there is no physical backup in the store",
            "dumps can be restored with tabsync restore new: tabsync backup list",
        ) from None
    mine = [one for one in found if one.system_identifier == identifier]
    return mine[0] if mine else Cluster(identifier, (), Archive(USUAL_SIZE))


def recover_steps(
    base: Base,
    target: Target,
    name: str,
    directory: Path,
    *,
    port: int | None = None,
    pause: bool = False,
    durable: bool = True,
) -> tuple[Step, ...]:
    """The steps that recover to a target; the quarterly drill has them too, on a copy that it throws away."""
    manifest = base.manifest
    server = programs_of(int(manifest.source["version_num"]) // 10000)
    place = str(directory)
    gone = "if a step fails, the directory is deleted"
    until = iso(base.reach.until) if base.reach.until else None
    # "current" needs no history in the store, the number of the backup's own timeline would.
    followed = "current" if base.reach.toward == manifest.physical["timeline"] else str(base.reach.toward)
    settings = target.settings() | {"recovery_target_timeline": followed}
    shown = ", ".join(f"{key} = '{value}'" for key, value in settings.items())
    return (
        Step(
            "fetch",
            f"Extract backup {manifest.id}, {human_bytes(manifest.physical['bytes'])}, of {local(manifest.taken_at)}",
            call(fetch, backup=manifest.id, name=name, directory=place, durable=durable),
            preview=f"{'pg_combinebackup and ' if manifest.physical['parent'] else ''}pg_verifybackup {directory}/data",
            risk=Risk.REVERSIBLE,
            undo=gone,
            reads=(manifest.id,),
        ),
        Step(
            "recover",
            f"Replay WAL with PostgreSQL {server.dotted} to {target}{_timeline(base)}",
            call(
                recover,
                backup=manifest.id,
                directory=place,
                target=target.to_json(),
                until=until,
                pause=pause,
                port=port,
                durable=durable,
                timeline=followed,
            ),
            preview=f"pg_ctl start --pgdata={directory}/data; {shown}",
            risk=Risk.REVERSIBLE,
            undo=gone,
            reads=(manifest.id,),
        ),
        Step(
            "check",
            "Connect to every database of the cluster",
            call(check, backup=manifest.id, directory=place),
            "count the tables of each database",
        ),
        Step(
            "keep",
            "Keep it running",
            call(keep, backup=manifest.id, directory=place, name=name, target=target.to_json()),
            preview=f"note it in {name}.json",
            risk=Risk.REVERSIBLE,
            undo=f"tabsync restore drop {name}",
        ),
        Step(
            "tidy",
            "Delete an incomplete cluster",
            call(tidy, name=name, directory=str(directory)),
            preview=f"rm -r {directory}, unless it was kept",
            risk=Risk.REVERSIBLE,
            undo="no undo needed: a complete cluster is kept",
            always=True,
        ),
    )


def _timeline(base: Base) -> str:
    """Which timeline is followed and which others could be, "" when there is but one."""
    others = [str(one.toward) for one in base.reaches if one.toward != base.reach.toward]
    return f" on timeline {base.reach.toward} (not {', '.join(others)}; see --timeline)" if others else ""


def _free_name(workspace: Workspace) -> str:
    """A name with the time, and with a number where that second has one already."""
    first = f"restored-{compact(now()).lower()}"
    names = (first, *(f"{first}-{number}" for number in range(2, 100)))
    return next((one for one in names if not entry_path(workspace, one).exists()), first)


def _directory(workspace: Workspace, name: str, into: Path | None) -> Path:
    directory = into.resolve() if into else workspace.servers() / "restored" / name
    if directory.exists() and any(directory.iterdir()):
        raise Refused(f"{directory} is not empty", "name a new directory: --into")
    parent = next(one for one in directory.parents if one.exists())
    account = server_account()
    if not account.can_reach(parent):
        raise Refused(
            f"the account {account.name!r} that the server runs under can't reach {parent}",
            "choose another directory: --into",
        )
    return directory


def _check_room(directory: Path, backups: list[Manifest]) -> None:
    # Combining needs the parts and the whole; WAL to replay comes a few segments at a time.
    size = sum(one.physical["bytes"] for one in backups)
    needed = size if len(backups) == 1 else size + backups[0].physical["bytes"]
    free = shutil.disk_usage(next(one for one in directory.parents if one.exists())).free
    if free < needed:
        raise Refused(
            f"the cluster needs {human_bytes(needed)} and {directory.parent} has {human_bytes(free)} free",
            "free some space, or restore to another disk: --into",
        )
