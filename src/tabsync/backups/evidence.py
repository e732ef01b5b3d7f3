"""Whether evidence of this chapter shows that a scheduled command was done: why not, or ""."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tabsync.backups.retention.policy import class_of
from tabsync.kernel.clock import parse_iso
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.model import Manual
from tabsync.manual.when import PERIOD, WINDOW

_STAMP = re.compile(r"(\d{8}T\d{6}Z)")


def take_fits(words: Sequence[str], facts: Facts, _manual: Manual) -> str:
    """Whether a backup is of the kind that `backup take` names."""
    wanted = next((word for word in words[2:] if not word.startswith("-")), "full")
    kind = facts.get("kind", "physical")
    return "" if kind == wanted or wanted == "physical" else f"it is of kind {kind}"


def drill_fits(words: Sequence[str], facts: Facts, manual: Manual) -> str:
    """Whether a drill is of the right sort, and was of a backup no older than its class allows."""
    wanted = "monthly" if "monthly" in words else ""
    if wanted and facts.get("schedule") != wanted:
        return "it was another drill"
    return too_old(str(facts.get("backup", "")), parse_iso(facts["at"]), manual)


def too_old(backup: str, at: datetime, manual: Manual) -> str:
    """Whether a full backup was older at a moment than the frequency of its class allows; "" when it wasn't."""
    stamp, row = _STAMP.search(backup), class_of("full", "", manual.retention)
    frequency = row.frequency.strip().lower() if row else ""
    if stamp is None or frequency not in PERIOD:
        return ""
    taken = datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    allowed = timedelta(seconds=PERIOD[frequency] + WINDOW[frequency])
    if at - taken <= allowed:
        return ""
    old = human_seconds((at - taken).total_seconds())
    return f"the backup was {old} old, and class {row.name if row else ''} is {frequency}"
