"""Whether evidence of this chapter shows that a scheduled command was done: why not, or ""."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from tabsync.backups.procedures.take import Take
from tabsync.backups.retention.policy import class_of
from tabsync.kernel.clock import parse_iso
from tabsync.kernel.request import fields_of
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.model import Manual
from tabsync.manual.when import DAY, WINDOW, parse_when

_STAMP = re.compile(r"(\d{8}T\d{6}Z)")


def take_fits(words: Sequence[str], facts: Facts, manual: Manual) -> str:
    """Whether a backup is of the kind and the class that `backup take` names, and in all stores of that class."""
    wanted, reason = _asked(tuple(words))
    kind = facts.get("kind", "physical")
    if kind != wanted and wanted != "physical":
        return f"it is of kind {kind}"
    given = facts.get("reason", reason)
    if reason not in (given, "manual"):
        return f"it was taken for another reason, {given}"
    ours, its = (class_of(wanted, one, manual.retention) for one in (reason, given))
    if ours != its:
        return f"it is of class {its.name if its else 'none'}"
    lacks = facts.get("lacks") or ()
    return f"it is not in {', '.join(lacks)}" if lacks else ""


@lru_cache
def _asked(words: tuple[str, ...]) -> tuple[str, str]:
    """The kind and the reason that the words of a `backup take` name."""
    valued = {flag for one in fields_of(Take) if one.kind != "flag" for flag in one.flags if not one.positional}
    kind, reason, previous = "full", "manual", ""
    for word in reversed(words[2:]):
        option, equals, value = word.partition("=")
        if option == "--reason":
            reason = value if equals else previous
        previous = word
    free = [word for before, word in pairwise(["", *words[2:]]) if before not in valued and not word.startswith("-")]
    return (free[0] if free else kind), reason


def drill_fits(words: Sequence[str], facts: Facts, manual: Manual) -> str:
    """Whether a drill is of the right sort, and was of a backup no older than its class allows."""
    wanted = "monthly" if "monthly" in words else ""
    if wanted and facts.get("schedule") != wanted:
        return "it was another drill"
    return too_old(str(facts.get("backup", "")), parse_iso(facts["at"]), manual)


def too_old(backup: str, at: datetime, manual: Manual) -> str:
    """Whether a full backup was older at a moment than the frequency of its class allows; "" when it wasn't."""
    stamp, row = _STAMP.search(backup), class_of("full", "", manual.retention)
    if stamp is None or row is None:
        return ""
    try:
        when = parse_when(row.frequency)
    except ValueError:
        return ""  # "when it is needed" is no frequency
    if when.kind not in ("clock", "every"):
        return ""
    taken = datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    allowed = timedelta(seconds=when.period + (when.window or WINDOW.get(when.name, min(when.period, DAY))))
    if at - taken <= allowed:
        return ""
    old = human_seconds((at - taken).total_seconds())
    return f"the backup was {old} old, and class {row.name} is {row.frequency.strip().lower()}"
