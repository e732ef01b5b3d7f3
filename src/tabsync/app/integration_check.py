"""tabsync integration check: what the accounts may not do, before it is urgent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.app.configured import application, names
from tabsync.kernel.errors import Exit, TabsyncError
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.request import Argument

if TYPE_CHECKING:
    from tabsync.providers.application import Permission
    from tabsync.workspace import Workspace

_WORDS: dict[bool | None, Cell] = {True: ("yes", "good"), False: ("no", "bad"), None: ("unknown", "warning")}
_NOT_WANTED: Cell = ("not configured", "quiet")


@dataclass(frozen=True, slots=True)
class Check:
    """What one may ask of integration check."""

    name: Annotated[str, Argument("The application, as [app.NAME] calls it; without it, all of them.")] = ""


def look_check(workspace: Workspace, request: Check) -> Page:
    """Each permission that is needed, and whether it is there. Raises BadUsage when none is configured."""
    found = {name: _permissions(workspace, name) for name in ([request.name] if request.name else names(workspace))}
    listed = [(name, one) for name, many in found.items() for one in many]
    shown = [
        {
            "app": name,
            "permission": one.name,
            "for": one.use,
            "allowed": one.allowed,
            "configured": one.configured,
            "why": one.why,
            "grant": one.grant,
        }
        for name, one in listed
    ]
    page = Page("integration check", {"permissions": shown})
    missing = sum(one.allowed is False for _, one in listed if one.configured)
    unknown = sum(one.allowed is None for _, one in listed if one.configured)
    page.line(*_verdict(missing, unknown))
    rows = [(name, one.name, one.use, _WORDS[one.allowed] if one.configured else _NOT_WANTED) for name, one in listed]
    page.table(("App", "Permission", "Needed for", "Allowed"), rows)
    for _, one in listed:
        if one.allowed is not True:  # what is not configured too: whoever needs that command has to know beforehand
            page.note(f"{one.name}: {one.why or 'missing'}")
            if one.grant:
                page.hint(f"to {'grant' if one.configured else 'configure'} it: {one.grant}")
    page.exit_code = Exit.PROBLEM_FOUND if missing else Exit.UNKNOWN if unknown else Exit.DONE
    return page


def _permissions(workspace: Workspace, name: str) -> list[Permission]:
    """What one application needs. Whatever keeps it from being asked makes all of it unknown."""
    from tabsync.providers.application import Permission

    one = application(workspace, name)
    try:
        return one.permissions()
    except TabsyncError as error:
        return [Permission(f"ask about {one.place}", "all of them", None, error.fact, error.hint)]


def _verdict(missing: int, unknown: int) -> tuple[Cell, ...]:
    if missing:
        rest = f", {unknown} unknown" if unknown else ""
        return ((f"{missing} PERMISSION{'S' if missing != 1 else ''} MISSING", "strong bad"), rest)
    if unknown:
        return ((f"{unknown} PERMISSION{'S' if unknown != 1 else ''} UNKNOWN", "strong warning"),)
    return (("ALL PERMISSIONS ARE THERE", "strong good"),)
