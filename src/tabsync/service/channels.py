"""What the notifier says of a channel: one that takes nothing for a contact is an alert, which others are told of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabsync.kernel.clock import now
from tabsync.kernel.step import Facts
from tabsync.manual.people import Contact
from tabsync.monitoring.alerts.episode import OVER, Episode, Key, Seen, Severity
from tabsync.monitoring.notify.send import Sent

SUBJECT = "channel"
"""The subject of these alerts: they are about no database."""

_TRIES = 2  # in vain, until a channel is said to be out of order


def condition_of(rows: Sequence[Facts], sent: Sent, contacts: Sequence[Contact]) -> Iterator[Seen]:
    """What a message says of its channel. rows: of the message, as they were before it was sent."""
    name, role = rows[0]["channel"], rows[0]["contact"]
    if not sent.ok and max(row["tries"] for row in rows) + 1 < _TRIES:
        return
    urgent = any(one.role == role and "critical" in one.told_of for one in contacts)
    facts = {
        "metric": name,
        "text": "takes no messages",
        "why": sent.fact,
        "meaning": f"Whoever is told by this channel hears of nothing: {role}.",
        "action": f"Repair it: [notify] {name} in tabsync.toml; then: tabsync alert notify-test",
        "runbook": "",
    }
    level: Severity = "critical" if urgent else "warning"
    yield Seen(Key("channel", name, role), None if sent.ok else level, now(), facts=facts)


def not_used(episodes: Sequence[Episode], contacts: Sequence[Contact]) -> list[Seen]:
    """It ends, too, when the contact isn't told by that channel any more."""
    if not contacts:
        return []
    used = {(one.by, one.role) for one in contacts}
    mine = [one.key for one in episodes if one.is_open and one.key.kind == "channel"]
    over = {OVER: "nobody is told by it any more"}
    return [Seen(key, None, now(), facts=over) for key in mine if (key.rule, key.label) not in used]
