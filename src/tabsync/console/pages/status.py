"""/: the page at 3 in the morning, with the same facts as `tabsync status`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.console.base.watch import Seen
from tabsync.kernel.page import Line, Part, Table
from tabsync.kernel.step import Facts
from tabsync.schedule.judge import BAD, State
from tabsync.schedule.words import SIGN

router = APIRouter()

WAIT = 2.0
"""Seconds a page waits for the database; one that doesn't answer is reported as such, and looked at again."""

_WAIT_REPORT = 1.0
_NIGHT = 6  # lines of last night's report


@router.get("/")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The whole page."""
    return page(request, "status.html", **_context(console), fragment=False)


@router.get("/status")
def refresh(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The part of it that refreshes itself."""
    return page(request, "status_body.html", **_context(console), fragment=True)


def _context(console: Console) -> Facts:
    seen = console.status.see(WAIT)
    return {"seen": seen, "facts": seen.facts, "night": _night(console.report.see(_WAIT_REPORT))}


def _night(seen: Seen) -> Facts:
    """Last night's report in a few lines: what says how it went, then what is not in order, then the rest."""
    if seen.facts is None:
        return {"headlines": [], "lines": [], "more": 0, "problem": seen.problem, "pending": seen.pending is not None}
    blocks = seen.facts["page"].blocks
    first = next((number for number, one in enumerate(blocks) if isinstance(one, Table)), len(blocks))
    still = [
        one.parts for one in blocks[first:] if isinstance(one, Line) and any(part[1] == "bad" for part in one.parts)
    ]
    lines = [*still, *_rows(seen.facts["page"].data["occurrences"])]
    told = [one for one in blocks[:first] if isinstance(one, Line)]
    more = max(0, len(lines) - _NIGHT)
    return {"headlines": told, "lines": lines[:_NIGHT], "more": more, "problem": seen.problem, "pending": False}


def _rows(occurrences: list[Facts]) -> list[tuple[Part, ...]]:
    """Each item in each of its states once, however often it was due; what is not in order first."""
    count = Counter((one["item"], one["state"]) for one in occurrences)
    newest = {(one["item"], one["state"]): one for one in occurrences}
    rows: list[tuple[Part, ...]] = []
    for key in sorted(newest, key=lambda key: State(key[1]) not in (*BAD, State.UNKNOWN, State.APPROVAL)):
        one, (sign, style) = newest[key], SIGN[State(key[1])]
        times = f"{count[key]} times " if count[key] > 1 else ""
        why = f": {one['why']}" if one["why"] else ""
        rows.append(((f"{sign} {times}{one['state']}", style), one["item"] + why))
    return rows
