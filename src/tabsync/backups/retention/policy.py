"""What has expired by the manual's Retention table: pure, from what is known of each backup.

The rule that decides between losing a backup and losing some disk: whatever is in doubt is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tabsync.kernel.errors import Refused
from tabsync.manual.model import RetentionClass
from tabsync.stores.address import is_own

CLASS_OF_KIND = {"tables": "critical-tables", "physical": "pitr", "incremental": "pitr"}
"""Kinds of backup whose class has another name than the kind."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far ahead of ours the clock of a database server may be: the moment of a backup is told by the server's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What retention needs to know of a backup.

    subject: whose it is, see stores.manifest.subject_of; parent: the id of the one that it can't be restored without.
    """

    id: str
    subject: str
    kind: str
    reason: str
    taken_at: datetime
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a backup stays, and why. expires_at: None when no class of ours says."""

    id: str
    keep: bool
    why: str
    expires_at: datetime | None


def is_ours(row: RetentionClass) -> bool:
    """Whether a class is kept in at least one store that we write to, and not only by the provider."""
    return any(is_own(store) for store in row.stores)


def class_of(kind: str, reason: str, classes: Iterable[RetentionClass]) -> RetentionClass | None:
    """The class of a backup: the one named like its reason, else like its kind, else None."""
    ours = {row.name.lower(): row for row in classes if is_ours(row)}
    for name in (reason, kind, CLASS_OF_KIND.get(kind, "")):
        if name.lower() in ours:
            return ours[name.lower()]
    return None


def expiry(taken_at: datetime, row: RetentionClass | None) -> datetime | None:
    """When a backup of a class expires; None for a backup without a class, and for what lasts for ever."""
    if row is None:
        return None
    try:
        return taken_at + row.retention
    except OverflowError:
        return None


def decide(
    backups: Sequence[Candidate],
    classes: Iterable[RetentionClass],
    holds: Mapping[str, str],
    proven: Collection[str],
    now: datetime,
    in_use: Collection[str] = (),
) -> list[Decision]:
    """Say of each backup whether it stays and why, in the order given.

    holds: id -> why it is held; proven: ids whose newest drill showed an identical copy; in_use: ids that a running
    procedure works with. Raises Refused when a backup was taken in the future: then some clock can't be trusted, and
    age means nothing.
    """
    for one in backups:
        if one.taken_at > now + CLOCK_TOLERANCE:
            raise Refused(
                f"backup {one.id} was taken at {one.taken_at:%Y-%m-%d %H:%M}, but now it is {now:%Y-%m-%d %H:%M} UTC",
                "set the clock; nothing is deleted while it is wrong",
            )
    classes = list(classes)
    newest_proven = _newest([one for one in backups if one.id in proven], lambda one: one.subject)
    newest = _newest(backups, lambda one: (one.subject, one.kind))
    bases = _first_bases(backups, classes, now)

    def of(one: Candidate) -> Decision:
        row = class_of(one.kind, one.reason, classes)
        expires_at = expiry(one.taken_at, row)
        if one.id in holds:
            why = f"held: {holds[one.id]}" if holds[one.id] else "held"
        elif one.id in in_use:
            why = "in use by a running command"
        elif row is None:
            why = f"the manual has no class {one.reason!r} or {one.kind!r}"
        elif expires_at is None:
            why = f"class {row.name}, kept forever"
        elif now < expires_at:
            why = f"class {row.name}, until {expires_at:%Y-%m-%d}"
        elif one.id in bases:
            why = f"needed for recovery within the {row.retention.days} days of class {row.name}"
        elif one.id in newest_proven:
            why = f"the newest proven backup; class {row.name} expired {expires_at:%Y-%m-%d}"
        elif one.id in newest:
            why = f"the newest of its kind; class {row.name} expired {expires_at:%Y-%m-%d}"
        else:
            return Decision(one.id, False, f"class {row.name} expired {expires_at:%Y-%m-%d}", expires_at)
        return Decision(one.id, True, why, expires_at)

    return _with_parents(backups, [of(one) for one in backups])


def _first_bases(backups: Sequence[Candidate], classes: Iterable[RetentionClass], now: datetime) -> set[str]:
    """The physical backups that the window of their class begins with: the newest that are older than it.

    WAL can only be replayed from a backup before it. Without these, the window would begin with a younger one.
    """
    old, classes_of = [], {}
    for one in backups:
        row = class_of(one.kind, one.reason, classes)
        expires_at = expiry(one.taken_at, row)
        if one.kind in ("physical", "incremental") and row and expires_at is not None and now >= expires_at:
            old.append(one)
            classes_of[one.id] = row.name
    return _newest(old, lambda one: (one.subject, classes_of[one.id]))


def _with_parents(backups: Sequence[Candidate], decisions: Sequence[Decision]) -> list[Decision]:
    """Keep what a backup that stays can't be restored without, through the whole chain."""
    parents, needed = {one.id: one.parent for one in backups}, {}
    for one in decisions:
        link = one.id if one.keep else ""
        while link and (link := parents.get(link, "")) and link not in needed:
            needed[link] = one.id
    return [
        replace(one, keep=True, why=f"{needed[one.id]} needs it") if not one.keep and one.id in needed else one
        for one in decisions
    ]


def _newest(backups: Iterable[Candidate], of: Callable[[Candidate], object]) -> set[str]:
    best: dict[object, Candidate] = {}
    for one in backups:
        there = best.get(of(one))
        if there is None or (one.taken_at, one.id) > (there.taken_at, there.id):
            best[of(one)] = one
    return {one.id for one in best.values()}
