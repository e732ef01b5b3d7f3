"""tabsync runbook find: which runbook fits an error message, and why. It needs neither the database nor the ledger."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import BadUsage, Exit, TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument
from tabsync.kernel.units import human_bytes
from tabsync.manual.load import read
from tabsync.symptoms.answer import Answer, Fit, answer
from tabsync.symptoms.own import Runbook
from tabsync.symptoms.text import LONGEST

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Find:
    """What one may ask of runbook find."""

    text: Annotated[str, Argument("The message, whole, stack trace and all; - or nothing: standard input.")] = ""


def look_find(workspace: Workspace, request: Find) -> Page:
    """The runbooks that fit a text, the likeliest first. Raises BadUsage when there is no text."""
    return found_in(workspace, request.text)


def found_in(workspace: Workspace, text: str, left_out: int = 0) -> Page:
    """The same. left_out: bytes from its middle that were not even read."""
    if not text.strip():
        raise BadUsage("there is no text", "paste the message in quotes, or pipe a log into: tabsync runbook find")
    runbooks, unread = runbooks_of(workspace)
    firing, unknown = firing_now(workspace)
    page = page_of(answer(text, runbooks, firing))
    left_out += max(0, len(text) - LONGEST - 1)
    page.data["left_out"] = left_out
    if left_out:
        page.note(f"only the beginning and the end were read, {human_bytes(left_out)} between them were left out")
    for told in filter(None, (unread, unknown)):
        page.note(told)
    return page


def runbooks_of(workspace: Workspace) -> tuple[list[Runbook], str]:
    """The runbooks of the manual, as far as it can be read; and why it can't, "" when it can."""
    try:
        manual, problems = read(workspace.manual_path)
    except TabsyncError as error:
        return [], f"{error.fact}: so no runbook of it is named"
    found = [Runbook(one.title, one.symptoms, one.quoted) for one in manual.runbooks]
    return found, "the manual is not valid, and a runbook may be missing: tabsync manual check" if problems else ""


def firing_now(workspace: Workspace) -> tuple[dict[str, str], str]:
    """What alerts say now, by the title of their runbook; and why that is unknown, "" when it is known."""
    from tabsync.monitoring.alerts.episode import State
    from tabsync.monitoring.alerts.keep import open_episodes

    try:
        found = [one for one in open_episodes(workspace.ledger()) if one.state is not State.PENDING]
    except TabsyncError as error:
        return {}, f"what fires now is unknown: {error.fact}"
    told = {one.facts.get("runbook", ""): f"{one.key.rule} {one.facts.get('text', '')}".strip() for one in found}
    return {title: text for title, text in told.items() if title}, ""


def page_of(found: Answer) -> Page:
    """An answer, for people and for programs."""
    refused = [
        {"cause": one.cause.name, "says": one.cause.says, "apart": one.cause.apart, "because": list(one.because)}
        for one in found.refused
    ]
    page = Page("runbook find", {"fits": [one.to_json() for one in found.fits], "refused": refused})
    if found.fits:
        _fits(page, found)
    elif found.refused:
        page.exit_code = Exit.PROBLEM_FOUND
        page.line(("No runbook", "strong warning"), f": {found.refused[0].cause.says}")
        for one in found.refused:
            page.line(f"   {one.cause.apart}")
            page.line(f"   by {_listed(one.because)}", style="quiet")
    else:
        page.exit_code = Exit.UNKNOWN
        page.line(("UNKNOWN", "strong warning"), ": nothing in this text is known")
        for title, text in found.firing.items():
            page.line(f"   An alert fires now: {text}. Its runbook: {title}")
        page.hint("to list the runbooks: tabsync runbook list; to see what is wrong now: tabsync status")
    return page


def _fits(page: Page, found: Answer) -> None:
    several = len(found.fits) > 1
    for number, one in enumerate(found.fits, start=1):
        page.line(f"{number}. " if several else "", (_title(one), "strong good" if number == 1 else "strong"))
        if one.found:
            page.line(f"   {one.found.cause.says}")
        if one.found and several:
            page.line(f"   To tell it from the others: {one.found.cause.apart}")
        if one.fires:
            page.line(("   Its alert fires now", "warning"), f": {one.fires}")
        page.line(f"   by {_listed(one.because)}", style="quiet")
    first = next((one.runbook for one in found.fits if one.runbook), "")
    if first:
        page.hint(f"to begin: tabsync runbook run {_quoted(first)}")
    if any(one.found and one.found.cause.pool for one in found.fits):
        page.hint("to see which pool is full: tabsync connections diagnose")


def _title(fit: Fit) -> str:
    if fit.runbook or fit.found is None:
        return fit.runbook
    return f"{fit.found.cause.runbooks[0]} (this manual has no such runbook)"


def _quoted(title: str) -> str:
    """A title as one types it: in the quotes that leave an apostrophe alone."""
    return shlex.quote(title) if set(title) & set('"$`\\!') else f'"{title}"'


def _listed(because: tuple[str, ...]) -> str:
    more = len(because) - 3
    return ", ".join(because[:3]) + (f" and {more} more" if more > 0 else "")
