"""Silences and windows: alerts that are kept, and not sent, for a reason that somebody gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.monitoring.alerts.episode import Episode


@dataclass(frozen=True, slots=True)
class Silence:
    """That nobody is told of a rule until a moment. label: "" for each of its labels."""

    id: int
    rule: str
    label: str
    reason: str
    owner: str
    begin: datetime
    until: datetime

    @property
    def what(self) -> str:
        """What it is about, in words."""
        return f"{self.rule}, {self.label}" if self.label else self.rule

    def to_json(self) -> Facts:
        """As JSON."""
        span = {"from": iso(self.begin), "until": iso(self.until)}
        return {
            "id": self.id,
            "rule": self.rule,
            "label": self.label,
            "reason": self.reason,
            "owner": self.owner,
        } | span


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which alerts are expected. critical_too: not even critical ones are sent."""

    id: int
    reason: str
    owner: str
    zone: str
    begin: datetime
    until: datetime
    critical_too: bool
    run_id: str = ""

    def to_json(self) -> Facts:
        """As JSON."""
        span = {"from": iso(self.begin), "until": iso(self.until), "zone": self.zone, "run": self.run_id or None}
        return {"id": self.id, "reason": self.reason, "owner": self.owner, "critical_too": self.critical_too} | span


def silences(ledger: Ledger, moment: datetime) -> list[Silence]:
    """Those in force at a moment."""
    return [
        Silence(
            row["id"],
            row["rule"],
            row["label"],
            row["reason"],
            row["owner"],
            parse_iso(row["from_at"]),
            parse_iso(row["until_at"]),
        )
        for row in ledger.read("silences", now=iso(moment))
    ]


OURS = ("restore in-place", "restore in-place --undo", "restore managed", "migration guard")
"""What we do ourselves that disturbs whoever uses the database: alerts are expected while it runs."""

_LONGEST = timedelta(hours=12)
"""A run that is said to go on for longer has died."""


def windows(ledger: Ledger, moment: datetime) -> list[Window]:
    """Those that are open at a moment, or will be; and one for each restore of ours that runs."""
    found = [
        Window(
            row["id"],
            row["reason"],
            row["owner"],
            row["zone"],
            parse_iso(row["from_at"]),
            parse_iso(row["until_at"]),
            row["critical_too"],
            row["run_id"],
        )
        for row in ledger.read("alert_windows", now=iso(moment))
    ]
    running = ledger.read("running_since", since=iso(moment - _LONGEST))
    return found + [_of_run(row) for row in running if row["procedure"] in OURS]


def _of_run(row: Facts) -> Window:
    begin = parse_iso(row["started_at"])
    return Window(0, f"{row['procedure']} runs", row["actor"], "", begin, begin + _LONGEST, False, row["id"])


def silence_of(episode: Episode, found: Iterable[Silence]) -> Silence | None:
    """The silence that an episode falls under."""
    key = episode.key
    return next(
        (
            one
            for one in found
            if one.rule.lower() == key.rule.lower()
            and one.label.lower() in ("", key.label.lower())
            and not episode.is_test
        ),
        None,
    )


def window_of(episode: Episode, found: Sequence[Window], moment: datetime) -> Window | None:
    """The window that withholds an episode at a moment."""
    held = (one for one in found if one.begin <= moment < one.until and not episode.is_test)
    return next((one for one in held if episode.level != "critical" or one.critical_too), None)
