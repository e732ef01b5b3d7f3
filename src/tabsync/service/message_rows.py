"""A message as the ledger has it: a row that is there before it is sent, and until its channel has taken it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from tabsync.incidents.incident import Incident
from tabsync.incidents.joining import KIND
from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.step import Facts
from tabsync.monitoring.alerts.episode import Episode
from tabsync.monitoring.notify.message import id_of
from tabsync.monitoring.notify.send import MOST_IDS
from tabsync.monitoring.notify.who import Due, Told

_PLAIN = re.compile(r"[^A-Za-z0-9-]+")
_AT_ONCE = 50  # alerts in one message


def message_row(episode: Episode, due: Due, moment: datetime, withheld: str = "") -> Facts:
    """The row of a message that is made. withheld: why it isn't sent, "" when it is."""
    row: Facts = {"episode": episode.id, "contact": due.contact.role, "channel": due.contact.by, "event": due.event}
    row |= {"created_at": iso(moment), "due_at": iso(moment), "tries": 0, "sent_at": None, "fact": withheld}
    return row | {"state": "withheld" if withheld else "waiting"}


def as_told(row: Facts) -> Told:
    """What a row says of a message that was made."""
    failing = row["tries"] > (1 if row["state"] == "sending" else 0) and row["state"] in ("waiting", "sending")
    return Told(row["contact"], row["event"], row["state"], parse_iso(row["created_at"]), failing)


def fitting(role: str, rows: Sequence[Facts]) -> list[Facts]:
    """As many of the messages to a contact as go into one."""
    found: list[Facts] = []
    length = 0
    for row in rows[:_AT_ONCE]:
        length += len(id_of(row["episode"], role, row["event"])) + 2
        if found and length > MOST_IDS:
            break
        found.append(row)
    return found


def thread_of(episodes: Sequence[Episode], role: str, incidents: Iterable[Incident]) -> str:
    """The id to which a message refers: one for each incident and contact; of an alert without one, for each alert."""
    owners = {alert: one.id for one in incidents for alert in one.alerts}
    first = min(episodes, key=lambda one: one.key.kind != KIND and one.id not in owners, default=None)
    if first is None:
        return ""
    named = first.key.rule if first.key.kind == KIND else owners.get(first.id, first.id)
    return f"<{_PLAIN.sub('-', named)}.{_PLAIN.sub('-', role)}@tabsync.invalid>"
