"""tabsync wal status: is WAL arriving, does a slot keep too much, are there gaps? What isn't known isn't fine."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from psycopg.rows import dict_row

from tabsync.backups.physical.base import lsn
from tabsync.backups.physical.checks import check_replication
from tabsync.backups.wal.names import USUAL_SIZE, Segment, segment_at
from tabsync.backups.wal.receive import spool_directory
from tabsync.backups.wal.slot import SQL, Slot, read_slot
from tabsync.backups.wal.trouble import no_room
from tabsync.backups.wal.window import Cluster, cluster_of, clusters
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import CannotConnect, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.ledger.evidence import evidence_since

_SPEAKS = timedelta(minutes=3)
"""A receiver that lives says something every minute."""

_ITS_OWN = ("store", "budget", "ledger")
_LOOKED_THROUGH = 100  # pieces of evidence, of whichever slot

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def wal_status(workspace: Workspace, *, slot: str, budget: int, behind: timedelta) -> Facts:
    """Look at the server's slot and archiver, and at the WAL in the store.

    budget: bytes that a slot may keep; behind: how old the newest WAL in the store may be, of what the manual promises.
    Gives the facts, and under "problems" what is wrong, each with "what" and "do"; under "unseen" what couldn't be
    looked at.
    """
    facts: Facts = {"checked_at": iso(now()), "slot": None, "server": None, "archive": None, "unseen": []}
    problems: list[Facts] = []
    cluster = None
    try:
        cluster = _look_at_server(workspace, slot, budget, facts, problems)
    except CannotConnect as error:
        facts["unseen"].append(f"the server: {error.fact}")
        known = clusters(workspace.store())
        cluster = known[0] if len(known) == 1 else None
    except TabsyncError as error:
        problems.append({"what": error.fact, "do": error.hint})
    _ask_receiver(workspace, slot, facts, problems)
    if cluster is not None:
        _judge_archive(cluster, facts, problems, behind)
    elif facts["server"] is None:
        facts["unseen"].append("the WAL in the store: without the server it is unknown which cluster is meant")
    return facts | {"problems": problems, "ok": not problems and not facts["unseen"]}


def _look_at_server(workspace: Workspace, name: str, budget: int, facts: Facts, problems: list[Facts]) -> Cluster:
    with workspace.connect("wal") as connection:
        identifier = check_replication(connection, workspace.conninfo)
        with connection.cursor(row_factory=dict_row) as cursor:
            server = cursor.execute(SQL["server"]).fetchone() or {}
        found = read_slot(connection, name)
    facts["server"] = server | {"time": iso(server["time"]), "system_identifier": identifier}
    archives = server["archive_mode"] != "off"
    if found is not None:
        kept, active = found.retained_bytes, found.active
        facts["slot"] = {"name": name, "active": active, "retained_bytes": kept, "wal_status": found.wal_status}
        problems.extend(_of_slot(found, budget))
    elif not archives:
        problems.append(
            {
                "what": f"there is no slot {name} and archive_mode is off: WAL is not archived",
                "do": "tabsync wal receive",
            }
        )
    if archives and server["archive_failing"]:
        what = f"archive_command has failed: {server['last_failed_wal']}, {server['archive_failures']} times"
        problems.append({"what": what, "do": "read the server's log; try: tabsync wal push FILE"})
    return cluster_of(workspace.store(), identifier).on(server["timeline"])


def _ask_receiver(workspace: Workspace, slot: str, facts: Facts, problems: list[Facts]) -> None:
    """What is wrong on the side of the receiver, if it works in this home: its disk, and what it says of the store."""
    place = spool_directory(workspace, slot)
    size = facts["server"]["segment_size"] if facts["server"] else USUAL_SIZE
    if place.is_dir() and not any(place.glob("*.partial")) and (full := no_room(place, size)):
        problems.append({"what": full.fact, "do": full.hint})
    try:
        found = evidence_since(workspace.ledger(), "wal", limit=_LOOKED_THROUGH)
    except TabsyncError as error:
        facts["unseen"].append(f"the state of the receiver: {error.fact}")
        return
    mine = next((one for one in found if one["facts"].get("slot") == slot), None)
    if mine is not None and now() - parse_iso(mine["at"]) < _SPEAKS:
        said = mine["facts"].get("problems", ())
        problems.extend({"what": one["what"], "do": one["do"]} for one in said if one["about"] in _ITS_OWN)


def _of_slot(slot: Slot, budget: int) -> list[Facts]:
    found = []
    if slot.wal_status == "lost":
        do = f"tabsync wal drop-slot --slot {slot.name}, then tabsync wal receive and tabsync backup take physical"
        found.append({"what": f"slot {slot.name} has lost WAL: the archive has a gap", "do": do})
    elif not slot.active:
        found.append({"what": f"slot {slot.name} is inactive: no WAL is being received", "do": "tabsync wal receive"})
    if slot.retained_bytes is not None and slot.retained_bytes > budget:
        what = f"the server keeps {human_bytes(slot.retained_bytes)} of WAL for slot {slot.name}"
        do = f"repair the receiver; before the server's disk is full: tabsync wal drop-slot --slot {slot.name}"
        found.append({"what": f"{what}, more than {human_bytes(budget)}", "do": do})
    return found


def _judge_archive(cluster: Cluster, facts: Facts, problems: list[Facts], behind: timedelta) -> None:
    archive, newest = cluster.archive, _newest(facts, cluster)
    base = max((one for one in cluster.bases if not one.broken), key=lambda one: one.ends, default=None)
    if base is None:
        problems.append(
            {"what": "there is no physical backup to replay WAL from", "do": "tabsync backup take physical"}
        )
        return
    ends = base.reach.until
    facts["archive"] = {
        "newest": newest.name(archive.size) if newest else None,
        "until": iso(ends) if ends else None,
        "exact": base.reach.exact,
        "base": base.manifest.id,
        "gaps": cluster.gaps,
    }
    if ends is None:
        problems.append(
            {"what": "no WAL since the newest physical backup is in the store", "do": "tabsync wal receive"}
        )
    elif _stalled(facts, cluster, ends, behind):
        age = human_seconds((_moment(facts) - ends).total_seconds())
        problems.append(
            {"what": f"the newest WAL in the store is {age} old", "do": "check that tabsync wal receive is running"}
        )
    for gap in cluster.gaps:
        what = f"WAL is missing: {gap['segments']} segments from {gap['first']} on"
        problems.append({"what": what, "do": "start a new recovery window: tabsync backup take physical"})


def _stalled(facts: Facts, cluster: Cluster, ends: datetime, behind: timedelta) -> bool:
    """Whether the store is behind; with nothing new to be archived, an old end is a good one."""
    if _moment(facts) - ends <= behind:
        return False
    server, newest = facts["server"], _newest(facts, cluster)
    if server is None or newest is None:
        return True
    here = segment_at(newest.timeline, lsn(server["lsn"]), cluster.archive.size)
    return not (server["archive_mode"] != "off" and here.number <= newest.number + 1 and facts["slot"] is None)


def _newest(facts: Facts, cluster: Cluster) -> Segment | None:
    server, archive = facts["server"], cluster.archive
    return archive.newest_of(server["timeline"]) if server else archive.newest


def _moment(facts: Facts) -> datetime:
    told = facts["server"]["time"] if facts["server"] else facts["checked_at"]
    return datetime.fromisoformat(told)
