"""What happened beside a metric: runs, windows, changes of the manual, restarts of the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tabsync.console.base.chart import Mark
from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.plain import in_one_line
from tabsync.ledger.open import Ledger
from tabsync.monitoring.history.history import History

MOST = 60
"""Marks of a chart: the newest. More would be a wall."""

_READ = 2000  # runs that are looked through
_OWN = ("alert", "ledger", "operator", "schedule", "window")
"""Of whose runs the database notices nothing."""


def happened(ledger: Ledger, history: History, since: datetime, until: datetime) -> list[Mark]:
    """The newest marks between two moments, by time. Raises NotRecorded or Unreadable."""
    found = [*_runs(ledger, since, until), *_windows(ledger, since, until), *_manuals(ledger, since, until)]
    found += [Mark(at, kind, in_one_line(words)) for at, kind, words in history.events(since, until)]
    return sorted(found, key=lambda one: one.at)[-MOST:]


def _runs(ledger: Ledger, since: datetime, until: datetime) -> Iterator[Mark]:
    for one in ledger.read("runs_between", since=iso(since), until=iso(until), limit=_READ):
        if one["procedure"].split()[0] not in _OWN:
            ended = parse_iso(one["finished_at"]) if one["finished_at"] else None
            words = f"{one['procedure']}, {one['state']}, by {in_one_line(one['actor'])}"
            yield Mark(parse_iso(one["started_at"]), "run", words, ended, f"/runs/{one['id']}")


def _windows(ledger: Ledger, since: datetime, until: datetime) -> Iterator[Mark]:
    for one in ledger.read("alert_windows_between", since=iso(since), until=iso(until)):
        words = f"window: {in_one_line(one['reason'])}, by {in_one_line(one['owner'])}"
        yield Mark(parse_iso(one["from_at"]), "window", words, parse_iso(one["until_at"]))


def _manuals(ledger: Ledger, since: datetime, until: datetime) -> Iterator[Mark]:
    for one in ledger.read("manual_versions"):
        if since <= parse_iso(one["at"]) < until:
            yield Mark(parse_iso(one["at"]), "manual", f"the manual changed: {one['digest'][:12]}", None, "/manual")
