"""Where to recover to, and from which backup: pure, from what the store has."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from tabsync.backups.physical.base import lsn
from tabsync.backups.wal.window import Base, Cluster
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts

Kind = Literal["time", "lsn", "xid", "latest"]

_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Target:
    """A point to recover to. value: as PostgreSQL takes it, a time in ISO 8601 with its offset, "" for the latest.

    before: stop before it and not after it (for the commit that did the damage).
    """

    kind: Kind
    value: str
    before: bool = False

    def settings(self) -> dict[str, str]:
        """The recovery target in postgresql.conf: https://www.postgresql.org/docs/current/runtime-config-wal.html"""
        if self.kind == "latest":
            return {}
        return {f"recovery_target_{self.kind}": self.value, "recovery_target_inclusive": "off" if self.before else "on"}

    def to_json(self) -> Facts:
        """The target as JSON; Target(**...) is the inverse."""
        return asdict(self)

    def __str__(self) -> str:
        """In words, a time in the local time zone."""
        if self.kind == "latest":
            return "the end of the WAL"
        what = local(parse_iso(self.value)) if self.kind == "time" else f"{self.kind.upper()} {self.value}"
        return f"just before {what}" if self.before else what


def local(moment: datetime) -> str:
    """A moment in the time zone of whoever runs this, with its name."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def parse_target(time: str | None, position: str | None, xid: int | None, *, before: bool) -> Target:
    """The one target that was given. Raises BadUsage when it is none or several, or can't be read."""
    given = [one for one in (time, position, xid) if one is not None]
    if len(given) != 1:
        raise BadUsage("give one target: a time, --lsn or --xid", "tabsync restore to-time '2026-11-22 14:30'")
    if position is not None:
        if not _LSN.fullmatch(position):
            raise BadUsage(f"{position!r} is not an LSN", "write it like 0/3000148")
        return Target("lsn", position.upper(), before)
    if xid is not None:
        return Target("xid", str(xid), before)
    if time == "latest":
        return Target("latest", "")
    return Target("time", iso(parse_moment(str(time))), before)


def parse_moment(text: str) -> datetime:
    """'2026-11-22 14:30:00', with or without an offset (else in local time), or '14:30' for today. Raises BadUsage."""
    if _CLOCK.fullmatch(text):
        text = f"{now().astimezone():%Y-%m-%d} {text.zfill(5) if text.count(':') == 1 else text}"
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise BadUsage(f"{text!r} is not a timestamp", "write it like '2026-11-22 14:30:00' or '14:30+01:00'") from None


def choose(cluster: Cluster, target: Target, timeline: int | None = None) -> Base:
    """The newest backup that ends before the target and can be replayed to it, its reach on the timeline to follow.

    timeline: to stay on; None: of a time the newest timeline that had begun by then, else the newest that gets there.
    A backup that was taken after the target can't go back to it, however near it is. Raises Refused, with what can be
    recovered to, when there is none.
    """
    fit = [one for one in cluster.bases if not one.broken and _before(one, target)]
    ways = [way for one in fit for way in one.each_way if timeline in (None, way.reach.toward)]
    within = [one for one in ways if _within(one, target)]
    if within:
        chosen = _timeline(cluster, {one.reach.toward for one in within}, target)
        return max((one for one in within if one.reach.toward == chosen), key=lambda one: one.begins)
    if not cluster.bases:
        raise Refused("there is no physical backup of this cluster in the store", "tabsync backup take physical")
    if fit and not ways:
        early = "" if target.kind == "latest" else f" from before {target}"
        raise Refused(f"no backup{early} can be recovered along timeline {timeline}", "tabsync backup window")
    windows = " and ".join(f"from {local(begins)} to {local(ends)}" for begins, ends in cluster.windows)
    possible = f"recovery is possible {windows}" if windows else "no recovery is possible"
    why = "is before the first backup" if not fit else "is after the end of the WAL in the store"
    where = "" if timeline is None or not fit else f" on timeline {timeline}"
    raise Refused(
        f"{target} {why}{where}; {possible}",
        "to see it for each backup: tabsync backup window",
    )


def _timeline(cluster: Cluster, found: set[int], target: Target) -> int:
    """The timeline that a target is meant on, of those that reach it.

    Before a timeline began, what its cluster was like is what the one that it left was like at their fork, which is
    not how that one went on.
    """
    if target.kind != "time":
        return max(found)
    learned, moment = cluster.archive.learned, parse_iso(target.value)
    begun = [one for one in found if one not in learned or learned[one] <= moment]
    return max(begun) if begun else min(found, key=lambda one: learned[one])


def _before(base: Base, target: Target) -> bool:
    facts = base.manifest.physical
    if target.kind == "time":
        return base.begins <= parse_iso(target.value)
    if target.kind == "lsn":
        return lsn(facts["stop_lsn"]) <= lsn(target.value)
    # A transaction that had begun by the end of the backup may be in it already.
    return target.kind == "latest" or int(facts["next_xid"]) <= int(target.value)


def _within(base: Base, target: Target) -> bool:
    if target.kind == "time":
        return parse_iso(target.value) <= base.ends
    if target.kind == "lsn":
        return lsn(target.value) <= base.reach.end
    return True  # PostgreSQL says so when a transaction isn't in the WAL
