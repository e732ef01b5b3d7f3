"""tabsync connections diagnose: why one can't connect, in one sentence, within 10 seconds. It ends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.request import Option
from tabsync.sessions.evidence import gather
from tabsync.sessions.found import Verdict
from tabsync.sessions.judge import judge, meaning
from tabsync.sessions.way_in import way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Diagnose:
    """What one may ask of connections diagnose."""

    text: Annotated[str, Option("What the application says, whole, stack trace and all.", metavar="MESSAGE")] = ""


def look_diagnose(workspace: Workspace, request: Diagnose) -> Page:
    """What stands in the way of a connection."""
    said = meaning(request.text) if request.text.strip() else ()
    seen = gather(workspace, said, way_in, request.text)
    return page_of(judge(seen))


def page_of(found: Verdict) -> Page:
    """A verdict, for people and for programs."""
    data = {
        "causes": list(found.causes),
        "says": found.says,
        "because": list(found.because),
        "unseen": list(found.unseen),
        "next": list(found.next),
        "ending_sessions_helps": found.helps,
        "advises_against": [] if found.helps or found.unknown else ["connections terminate", "connections limit"],
        "runbooks": list(found.runbooks),
    }
    page = Page("connections diagnose", data)
    page.line((found.says, "strong warning"))
    for one in found.because:
        page.line(f"   seen: {one}")
    for one in found.unseen:
        page.line(f"   not visible: {one}", style="quiet")
    for one in found.next:
        page.hint(one)
    if not found.helps:
        page.exit_code = Exit.UNKNOWN if found.unknown else Exit.PROBLEM_FOUND
    return page
