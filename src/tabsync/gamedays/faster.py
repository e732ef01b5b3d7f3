"""The manual of a game day: the same, with times in which nobody has to wait for minutes."""

from __future__ import annotations

import re

from tabsync.kernel.errors import Refused


def faster(manual: str, metric: str, changes: tuple[tuple[str, str], ...]) -> str:
    """A manual in which a metric is measured each second and its alert waits for 5 s.

    changes: what else is said otherwise. Raises Refused when the manual doesn't say one of these: then a game day would
    not play it.
    """
    text = _sub(manual, rf"(^#+ {re.escape(metric)}\n\n(?:[^\n]+\n)*?Every: )[^\n]+", r"\g<1>1 s", metric)
    text = _sub(text, rf"^(\| {re.escape(metric)} \|[^|]*\|[^|]*\| )[^|]+( \|)", r"\g<1>5 s\2", metric)
    for was, now in changes:
        if was not in text:
            raise Refused(f"the manual does not say {was!r}, which this game day plays faster", "use --real-time")
        text = text.replace(was, now)
    return text


def _sub(text: str, pattern: str, by: str, what: str) -> str:
    found, count = re.subn(pattern, by, text, count=1, flags=re.MULTILINE)
    if not count:
        raise Refused(f"the manual does not measure {what!r} with a bound", "tabsync manual show thresholds")
    return found
