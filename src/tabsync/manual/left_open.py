"""What a step leaves open, such as <pid>: where it may stand."""

from __future__ import annotations

import re

OPEN = re.compile(r"<([^\W\d][\w-]*)>")
"""What stands for a value."""

_REGION = re.compile(
    r"""(?P<text>'(?:[^']|'')*') | (?P<name>"(?:[^"]|"")*") | (?P<comment>--[^\n]*|/\*.*?\*/)""", re.DOTALL | re.VERBOSE
)
_EXOTIC = re.compile(r"\$\w*\$|'|\"|/\*|(?:^|\W)(?:u&|[ebxn])$", re.IGNORECASE)


def wrong_in(sql: str) -> str:
    """Why what a SQL block leaves open can't be filled safely; "" when it can."""
    try:
        spots(sql)
    except ValueError as error:
        return str(error)
    return ""


def with_any_value(sql: str) -> str:
    """Some SQL with a text for each thing that it leaves open, so that it can be read; as it is where that can't be."""
    try:
        found = spots(sql)
    except ValueError:
        return sql
    for start, stop, _ in reversed(found):
        sql = f"{sql[:start]}''{sql[stop:]}"
    return sql


def spots(sql: str) -> list[tuple[int, int, str]]:
    """Where a literal may take the place of what is left open: from, to, name. Raises ValueError for anywhere else.

    A literal inside a text or a name would end it, and what follows would be SQL: so only <name> by itself, and
    '<name>'. Where two readers may disagree about what is a text, nothing is filled in.
    """
    if not OPEN.search(sql):
        return []
    found = []
    position = 0
    for region in [*_REGION.finditer(sql), None]:
        plain = sql[position : region.start() if region else len(sql)]
        exotic = _EXOTIC.search(plain) if region is None or region["text"] else _EXOTIC.search(f"{plain};")
        if exotic or (region and region["comment"] and "/*" in region["comment"][2:]):
            raise ValueError("SQL that leaves something open may have no $$, no E'...' and no comment in a comment")
        found += [(position + one.start(), position + one.end(), one[1]) for one in OPEN.finditer(plain)]
        if region is None:
            break
        inside = OPEN.search(region[0])
        if inside and region["text"] and region[0] == f"'{inside[0]}'":
            found.append((region.start(), region.end(), inside[1]))
        elif inside and not region["comment"]:
            raise ValueError(f"{inside[0]} stands inside of {region[0]}: write '...' || {inside[0]} || '...'")
        position = region.end()
    return found
