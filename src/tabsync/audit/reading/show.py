"""tabsync audit show: one entry, column by column, by whom, and what else the same transaction did."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.audit.reading.entries import reading, who_text
from tabsync.audit.reading.list import PRIVATE, local_text
from tabsync.kernel.page import Page
from tabsync.kernel.plain import escaped
from tabsync.kernel.request import Argument
from tabsync.kernel.step import Facts

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_WIDE = 34
SECRET = "(secret)"  # noqa: S105 - what stands there instead of one
"""What stands in the log for a value that never reaches it."""
_RESTORABLE = ("UPDATE", "DELETE", "TRUNCATE")


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of audit show."""

    id: Annotated[int, Argument("The number of the entry.", minimum=1)]


def look_show(workspace: Workspace, request: Show) -> Page:
    """An entry with its values. Raises BadUsage when there is none, Refused where the log isn't installed."""
    with reading(workspace) as log:
        one = log.entry(request.id)
        along, later = log.along(one)
        moved = log.moved() if along else ""
    page = Page("audit show", {"entry": one, "transaction": along, "number_again": later}, private=PRIVATE)
    what = one["table"] or one["entity"]
    page.line((escaped(f"{one['action']} of {what}"), "strong"), f" at {local_text(one['at'])}, entry {one['id']}")
    for line in told_of(one):
        page.line(escaped(line))
    rows = [(escaped(name), value(before), value(after)) for name, before, after in differences(one)]
    if rows:
        page.table(("Column", "Before", "After"), [("key", escaped(one["key"]), ""), *rows] if one["key"] else rows)
    others = [each for each in along if each["entries"] > 1 or each["first"] != one["id"]]
    if others:
        page.line(f"Transaction {one['transaction']}:", style="quiet")
        page.table(
            ("Table", "Action", "Entries", "From", "To"),
            [
                (
                    escaped(each["table"] or ""),
                    escaped(each["action"]),
                    f"{each['entries']:,}",
                    str(each["first"]),
                    str(each["last"]),
                )
                for each in along
            ],
            right=("Entries", "From", "To"),
        )
    if moved:
        page.note(f"{moved}: entries of two transactions may be mixed, until tabsync audit seal has run")
    if later:
        page.note(
            f"since the database was restored or failed over, another transaction had number {one['transaction']}"
        )
    elif command := restore_command(one):
        page.hint(f"to see what would be restored: {command} --dry-run")
    return page


def differences(one: Facts) -> Iterator[tuple[str, Any, Any]]:
    """The columns of an entry with what they held before and after; MISSING where there was no row."""
    old, new = one["old"], one["new"]
    if not isinstance(old, dict) and not isinstance(new, dict):
        return
    before, after = (old if isinstance(old, dict) else {}), (new if isinstance(new, dict) else {})
    for name in [*before, *(one for one in after if one not in before)]:
        yield name, before.get(name, MISSING), after.get(name, MISSING)


class _Missing:
    """No row, or no such column."""


MISSING = _Missing()


def value(found: Any, wide: int = _WIDE) -> str:
    """A value of a row in a table: NULL, text as it is, all else as JSON. wide: characters that are shown."""
    if found is MISSING:
        return ""
    if found is None:
        return "NULL"
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    plain = escaped(text)
    return plain if len(plain) <= wide else f"{plain[: wide - 1]}…"


def restorable(one: Facts) -> bool:
    """Whether rows can be restored by an entry: the triggers wrote it, and there was a row before."""
    return one["origin"] == "trigger" and one["action"] in _RESTORABLE and bool(one["table"]) and bool(one["key"])


def restore_command(one: Facts) -> str:
    """The command that restores what the entry's transaction did to its table; "" where nothing can be."""
    if not restorable(one):
        return ""
    table = shlex.quote(one["table"])
    return f"tabsync restore rows --table {table} --from audit --transaction {one['transaction']}"


def told_of(one: Facts) -> Iterator[str]:
    """Who did it and from where, in lines."""
    how = {
        "signed": "signed by the application",
        "plain": "as the application said",
        "invalid": "the claim was invalid",
    }
    told = how.get(one["actor_how"] or "", one["actor_how"] or "")
    yield f"by      {who_text(one)}" + (f", {told}" if told else "")
    role = f", as {one['db_role']}" if one["db_role"] else ""
    place = " from ".join(filter(None, (one["app"], one["client"] or "a local socket")))
    yield f"session {one['db_user'] or '-'}{role}, {place}"
    if one["reason"]:
        yield f"reason  {one['reason']}"
    if one["origin"] is None:
        yield "origin  unknown: it is from before the audit log was installed"
    elif one["origin"] == "statement":
        yield "origin  a direct INSERT into the log: its text is what that session wrote"
