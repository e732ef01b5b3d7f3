"""What became of a deployment, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.page import Page
from tabsync.kernel.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from tabsync.deployments.request import Guard, Rehearse
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


def show_guard(done: Done[Workspace, Guard]) -> Page:
    """What was done, what is in the database by now, and the next command."""
    results, error = done.results, done.ran.error
    told = {"fact": getattr(error, "fact", str(error)), "hint": getattr(error, "hint", "")} if error else None
    page = Page("migration guard", {"run": done.ran.run_id, **results, "error": told})
    ran = results.get("run")
    if ran is None and error is None:
        page.line(("NOTHING STANDS AGAINST IT", "strong good"), ": the command was not run")
    elif ran is None:
        page.line(("REFUSED", "strong bad"), ": the command was not run")
    elif ran["exit"] != 0:
        page.line(("THE COMMAND FAILED", "strong bad"), f" with exit code {ran['exit']}, after {_took(ran)}")
    elif error is not None:
        page.line(("NOT AS IT SHOULD BE", "strong bad"), f": the command ended with 0, after {_took(ran)}")
    else:
        page.line(("DEPLOYED AND VERIFIED", "strong good"), f", in {_took(ran)}")
    _gate(page, results.get("gate"))
    if ran is not None:
        _sessions(page, ran)
    if verified := results.get("verify"):
        _verified(page, verified)
    page.error = error if error is not None else None  # type: ignore[assignment]
    return page


def _gate(page: Page, gate: Facts | None) -> None:
    if gate is None:
        return
    for one in gate["items"]:
        page.line((f"● {one['item']}: {one['evidence']}", "good") if one["ok"] else f"{one['item']}: {one['missing']}")
    if gate["unproven"]:
        page.line((gate["unproven"], "warning"))


def _sessions(page: Page, ran: Facts) -> None:
    if not ran["sessions"]:
        page.line(("unknown: whom it made wait, since its sessions could not be seen", "quiet"))
        return
    waited = human_seconds(ran["waited_seconds"]) if ran["waited_seconds"] else "not at all"
    others = human_seconds(ran["others_waited_seconds"]) if ran["others_waiting"] else ""
    behind = (
        f"; others waited for it: {ran['others_waiting']} at most, {others} at most" if others else "; nobody else did"
    )
    page.line(f"It waited for locks: {waited}{behind}.")
    for one in ran["cancelled"]:
        page.line((f"cancelled: {one}", "warning"))


def _verified(page: Page, verified: Facts) -> None:
    for name in verified["applied"]:
        left = verified["left"].get(name)
        told = ", ".join(f"{count} {what}" for what, count in left.items()) if left else "statements not known"
        page.line(f"applied: {name} ({told})")
    if verified["pending"]:
        page.line((f"still pending: {', '.join(verified['pending'])}", "warning"))
    if verified["read"]:
        page.line(f"Tables that answer a new session: {', '.join(verified['read'])}.")
    for one in verified["unknown"]:
        page.line((f"unknown: {one}", "quiet"))


def _took(ran: Facts) -> str:
    return human_seconds(ran["seconds"])


def show_rehearse(done: Done[Workspace, Rehearse]) -> Page:
    """What the command did to the copy: how long it took, what it would have kept others from, what it wrote anew."""
    error, facts = done.ran.error, done.results.get("rehearse")
    page = Page("migration rehearse", {"run": done.ran.run_id, "rehearsal": facts})
    if facts is None:
        page.line(("THE REHEARSAL FAILED", "strong bad"))
        page.error = error  # type: ignore[assignment]
        return page
    page.line(("REHEARSED", "strong good"), f" on a copy of {facts['backup']}, in {_took(facts)}")
    rows = [(one["table"], one["stops"], human_seconds(one["seconds"]), one["mode"]) for one in facts["locks"]]
    if rows:
        page.table(("Table", "Others can't", "For", "Lock"), rows, right=("For",))
    else:
        page.line(
            "No lock that stops others was seen: it was held for less than a twentieth of a second, or not at all."
        )
    for one in facts["rewritten"]:
        page.line((f"written anew: {one['table']}, {human_bytes(one['bytes'])}", "warning"))
    if facts["pending"]:
        page.line((f"still pending: {', '.join(facts['pending'])}", "warning"))
    if not facts["watched"]:
        page.line(("unknown: whether it also connected to the real database, which could not be watched", "warning"))
    page.line(
        "The copy is nobody else's: on the real database it also waits for others, and they for it.", style="quiet"
    )
    return page
