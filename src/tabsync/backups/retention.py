"""What the manual's Retention table lets go of: pure, from what is known of each backup.

The rule that decides between losing a backup and losing some disk: whatever is in doubt is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tabsync.kernel.errors import Refused
from tabsync.manual.model import RetentionClass

CLASS_OF_KIND = {"tables": "critical-tables"}
"""Kinds of backup whose class has another name than the kind."""

OWN_STORES = ("local", "azure blob", "s3", "google cloud storage", "gcs", "sftp")
"""Stores that we write to ourselves, as a manual may name them. What is kept elsewhere is its provider's to prune."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far ahead of ours the clock of a database server may be: the moment of a backup is told by the server's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What retention needs to know of a backup. subject: whose it is, see stores.manifest.subject_of."""

    id: str
    subject: str
    kind: str
    reason: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a backup stays, and why. expires_at: when its class lets go of it, None when no class of ours does."""

    id: str
    keep: bool
    why: str
    expires_at: datetime | None


def is_ours(row: RetentionClass) -> bool:
    """Whether a class is kept in at least one store that we write to, and not only by the provider."""
    return any(word in store.lower() for store in row.stores for word in OWN_STORES)


def class_of(kind: str, reason: str, classes: Iterable[RetentionClass]) -> RetentionClass | None:
    """The class of a backup: the one named like its reason, else like its kind, else None."""
    ours = {row.name.lower(): row for row in classes if is_ours(row)}
    for name in (reason, kind, CLASS_OF_KIND.get(kind, "")):
        if name.lower() in ours:
            return ours[name.lower()]
    return None


def expiry(taken_at: datetime, row: RetentionClass | None) -> datetime | None:
    """When a class lets go of a backup; None for a backup without a class, and for what lasts for ever."""
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
                f"backup {one.id} was taken at {one.taken_at:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M}",
                "set the clock right; nothing is pruned by a clock that is wrong",
            )
    classes = list(classes)
    newest_proven = _newest([one for one in backups if one.id in proven], lambda one: one.subject)
    newest = _newest(backups, lambda one: (one.subject, one.kind))

    def of(one: Candidate) -> Decision:
        row = class_of(one.kind, one.reason, classes)
        expires_at = expiry(one.taken_at, row)
        if one.id in holds:
            why = f"held: {holds[one.id]}" if holds[one.id] else "held"
        elif one.id in in_use:
            why = "a running procedure uses it"
        elif row is None:
            why = f"no class for {one.reason!r} or {one.kind!r} in the manual"
        elif expires_at is None:
            why = f"class {row.name}, for ever"
        elif now < expires_at:
            why = f"class {row.name}, until {expires_at:%Y-%m-%d}"
        elif one.id in newest_proven:
            why = f"the newest proven backup, though class {row.name} ended {expires_at:%Y-%m-%d}"
        elif one.id in newest:
            why = f"the newest of its kind, though class {row.name} ended {expires_at:%Y-%m-%d}"
        else:
            return Decision(one.id, False, f"class {row.name} ended {expires_at:%Y-%m-%d}", expires_at)
        return Decision(one.id, True, why, expires_at)

    return [of(one) for one in backups]


def _newest(backups: Iterable[Candidate], of: Callable[[Candidate], object]) -> set[str]:
    best: dict[object, Candidate] = {}
    for one in backups:
        there = best.get(of(one))
        if there is None or (one.taken_at, one.id) > (there.taken_at, there.id):
            best[of(one)] = one
    return {one.id for one in best.values()}
