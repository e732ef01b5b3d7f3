"""Templates, and how values look in them: sizes, durations, moments as an age plus UTC."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tabsync import __version__
from tabsync.console.base.access import masked
from tabsync.console.base.assets import url_of
from tabsync.kernel.clock import now, parse_iso
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.ledger.operators import Operator, may
from tabsync.monitoring.history.standing import address_of
from tabsync.procedures import find

_BACKUP = re.compile(r"\b\d{8}T\d{6}Z-[0-9a-f]{4}\b")
"""The id of a backup; that of a run is longer."""

MARKS = {
    "ok": "✓",
    "done": "✓",
    "proven": "✓",
    "warning": "▲",
    "interrupted": "▲",
    "not proven": "▲",
    "critical": "✕",
    "failed": "✕",
    "damaged": "✕",
    "unknown": "?",
    "running": "▶",
    "open": "▶",
    "stopped": "▲",
    "skipped": "–",
    "waiting": "·",
    "no bound": "·",
}
"""A sign beside each word, so that colour is never the only difference."""


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page or a fragment of one. The session of the request is there as `session`, None before the login."""
    context |= {"request": request, "session": getattr(request.state, "session", None)}
    return HTMLResponse(_environment().get_template(template).render(context), status_code=status)


def error_page(status: int, fact: str, hint: str, request: Request | None = None) -> HTMLResponse:
    """The one page for everything that goes wrong; it never says more than a fact and a hint."""
    session = getattr(request.state, "session", None) if request else None
    context = {"status": status, "fact": fact, "hint": hint, "session": session, "request": request}
    return HTMLResponse(_environment().get_template("error.html").render(context), status_code=status)


def _may_start(operator: Operator, words: str) -> bool:
    """Whether an operator may start a procedure."""
    found = find(words)
    return found is not None and may(operator, found.operator)


def age(moment: str) -> str:
    """How long ago an ISO time was: '3 min 10 s ago'."""
    seconds = max(0, round((now() - parse_iso(moment)).total_seconds()))
    return f"{seconds} s ago" if seconds < 10 else f"{human_seconds(seconds)} ago"


def utc(moment: str) -> str:
    """An ISO time as '2026-11-22 18:15:00 UTC'."""
    return moment[:19].replace("T", " ") + " UTC"


def linked(text: str) -> Markup:
    """A text in which backups are links to their pages."""
    # Escaped first: what is added is ours.
    return Markup(_BACKUP.sub(r'<a href="/backups/\g<0>">\g<0></a>', str(escape(text))))  # noqa: S704


def slug(text: str) -> str:
    """A title as an id in a page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tabsync.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"human_bytes": human_bytes, "human_seconds": human_seconds, "age": age, "utc": utc}
    environment.filters |= {"address": address_of, "slug": slug, "masked": masked, "linked": linked}
    environment.globals |= {"may_start": _may_start, "marks": MARKS, "version": __version__, "asset": url_of}
    return environment
