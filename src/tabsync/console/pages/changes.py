"""/audit/changes: what was changed in the database, by whom, from its own audit log; and the way to restored rows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.audit.reading.entries import reading, who_text
from tabsync.audit.reading.list import List, filters_of
from tabsync.audit.reading.show import SECRET, differences, restorable, told_of, value
from tabsync.console.base.access import Admin, Responder
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts

router = APIRouter()

_SHOWN = 100
_WIDE = 400
FIELDS = ("table", "key", "action", "by", "app", "since", "until", "transaction", "grep")


@router.get("/audit/changes")
def show(request: Request, _: Responder, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The newest entries that fit, without their values; a page has a hundred."""
    asked = {name: request.query_params.get(name, "").strip() for name in FIELDS}
    before = request.query_params.get("before", "")
    problem, entries, earlier = "", [], None
    try:
        filters = filters_of(List(**asked))  # type: ignore[arg-type]  # these are its texts
        with reading(console.workspace) as log:
            number = int(before) if before.isdecimal() and len(before) < 19 else None
            entries = [_entry(one) for one in log.page(filters, _SHOWN, number)]
            earlier = log.earlier(entries[0]) if asked["transaction"] and entries else None
    except BadUsage as error:
        problem = f"{error.fact}. {error.hint}"
    following = {name: text for name, text in asked.items() if text}
    last = entries[-1]["id"] if len(entries) == _SHOWN else earlier + 1 if earlier else None
    older = urlencode(following | {"before": str(last)}) if last else ""
    return page(request, "changes.html", asked=asked, entries=entries, problem=problem, older=older)


@router.get("/audit/changes/{number}")
def one(number: int, request: Request, _: Admin, console: Annotated[Console, Depends(console_of)]) -> Response:
    """One entry with its values: these are for who may write them."""
    with reading(console.workspace) as log:
        found = log.entry(number)
        along, later = log.along(found)
    rows = [(name, value(before, _WIDE), value(after, _WIDE)) for name, before, after in differences(found)]
    context = {"one": _entry(found), "told": list(told_of(found)), "rows": rows, "along": along}
    secret = ", ".join(name for name, before, _after in rows if before == SECRET)
    back = restorable(found) and not later  # else rows of the other transaction would be restored
    return page(request, "change.html", status=200, restorable=back, secret=secret, **context)


def _entry(one: Facts) -> Facts:
    return one | {"at": iso(datetime.fromisoformat(one["at"])), "who": who_text(one)}
