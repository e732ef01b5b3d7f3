"""A gate of a running service, asked through its API by a pipeline that has no ledger."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from tabsync.cli.remote import OTHER, asked, said, service
from tabsync.kernel.errors import CannotConnect, Exit
from tabsync.kernel.page import Page, Part
from tabsync.schedule.gate import names_gate

_EVERY = 2.0  # seconds between two looks at what was started


def ask(server: str, name: str, *, run: bool) -> Page:
    """The gate as the service at that URL sees it; run: have it do what is missing, and wait.

    Raises BadUsage when there is no token or no such gate, NotAllowed when the token isn't one, CannotConnect when the
    service can't be reached.
    """
    path = f"/api/v1/gates/{quote(name, safe='')}"
    with service(server) as client:
        found = _gate(asked(client, "POST" if run else "GET", path), name)
        while run and found.get("running") is True:
            time.sleep(_EVERY)
            found = _gate(asked(client, "GET", path), name)
    return _page(found)


def _gate(content: Any, name: str) -> dict[str, Any]:
    if not _is_answer(content) or not names_gate(name, content["gate"]):
        raise CannotConnect("the service did not answer with that gate", OTHER)
    return dict(content)


def _is_answer(content: Any) -> bool:
    """Whether it is what the API says of a gate: whatever else a server says opens none."""
    if not isinstance(content, dict) or not isinstance(content.get("gate"), str):
        return False
    items = content.get("items")
    if not isinstance(content.get("ok"), bool) or not isinstance(items, list):
        return False
    whole = all(isinstance(one, dict) and isinstance(one.get("ok"), bool) and "item" in one for one in items)
    return whole and content["ok"] is all(one["ok"] for one in items)


def _page(found: dict[str, Any]) -> Page:
    ok = found["ok"]
    page = Page("", found, exit_code=Exit.DONE if ok else Exit.PROBLEM_FOUND)
    page.line((f"{'OPEN' if ok else 'CLOSED'}: before {said(found['gate'])}", "strong good" if ok else "strong bad"))
    rows: list[tuple[str, Part]] = [
        (
            said(one["item"]),
            (f"● {said(one.get('evidence'))}", "good") if one["ok"] else (f"✗ {said(one.get('missing'))}", "bad"),
        )
        for one in found["items"]
    ]
    page.table(("Item", "Evidence"), rows, whole=("Item",))
    return page
