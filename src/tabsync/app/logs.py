"""tabsync app logs: the last lines that an application wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.app.configured import application
from tabsync.kernel.cards import without_cards
from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option
from tabsync.postgres.conninfo import libpq_environment

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SEARCHED = 2000  # lines of each replica that are searched for a text
_LONGEST = 2000  # letters of a line


@dataclass(frozen=True, slots=True)
class Logs:
    """What one may ask of app logs."""

    name: Annotated[str, Argument("The application, as [app.NAME] in tabsync.toml calls it.")]
    grep: Annotated[str, Option("Only lines that contain this text, in capitals or not.", metavar="TEXT")] = ""
    lines: Annotated[int, Option("How many lines of each replica, the last ones.", minimum=1, maximum=2000)] = 100


def look_logs(workspace: Workspace, request: Logs) -> Page:
    """The last lines of each replica. Raises TabsyncError with what can't be read and why."""
    one = application(workspace, request.name)
    log = one.logs(max(request.lines, _SEARCHED) if request.grep else request.lines)
    shown = [(which, _safe(line, workspace)) for which, line in log.lines]
    fitting = [(which, line) for which, line in shown if request.grep.casefold() in line.casefold()]
    wanted = [line for which in dict(fitting) for line in _of(which, fitting)[-request.lines :]]
    listed = [{"replica": which, "line": line} for which, line in wanted]
    data = {"app": request.name, "grep": request.grep, "searched": len(shown), "lines": listed, "notes": log.notes}
    page = Page("app logs", data)
    several = len({which for which, _ in wanted}) > 1
    for which, line in wanted:
        page.line((f"{which}  " if several else "", "quiet"), line, whole=True)
    found = f"{len(wanted)} line{'s' if len(wanted) != 1 else ''}"
    about = f" with {request.grep!r} among the last {len(shown)}" if request.grep else ""
    page.line(f"{found}{about} of {one.place}.", style="quiet")
    for note in log.notes:
        page.note(note)
    return page


def _of(replica: str, lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(which, line) for which, line in lines if which == replica]


def _safe(line: str, workspace: Workspace) -> str:
    from tabsync.providers.application import printable, without_secrets

    password = libpq_environment(workspace.conninfo).get("PGPASSWORD", "")
    return without_cards(without_secrets(printable(line[:_LONGEST]), (password,)))
