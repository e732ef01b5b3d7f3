"""tabsync audit list: who changed what, the newest first, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from tabsync.audit.reading.entries import reading, table_text, who_text
from tabsync.audit.reading.moments import moment_of
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page
from tabsync.kernel.plain import escaped
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_WIDE = {"table": 20, "key": 22, "who": 18, "app": 14}
PRIVATE = ("Key", "key", "grep", "Before", "After", "old", "new")
"""What nobody is to read on record: keys and values are people's data."""


@dataclass(frozen=True, slots=True)
class List:
    """What one may ask of audit list."""

    table: Annotated[str, Option("Only this table, as users or public.users.")] = ""
    key: Annotated[str, Option("Only the row of this key; several columns as a JSON array.")] = ""
    since: Annotated[str, Option("From this time on: '2026-11-22 14:30', '1 hour ago'.", metavar="TIME")] = ""
    until: Annotated[str, Option("Before this time.", metavar="TIME")] = ""
    action: Annotated[str, Option("Only INSERT, UPDATE, DELETE, TRUNCATE, ROLE_CHANGE or another action.")] = ""
    by: Annotated[str, Option("Only what this actor or role did.", metavar="WHO")] = ""
    app: Annotated[str, Option("Only what came from this application_name.")] = ""
    transaction: Annotated[str, Option("Only what this transaction did.", metavar="XID")] = ""
    grep: Annotated[str, Option("Only with this text in values, keys or reasons; needs --since.", metavar="TEXT")] = ""
    limit: Annotated[int, Option("How many entries.", minimum=1, maximum=1000)] = 50
    before: Annotated[
        int | None, Option("Only entries with smaller numbers: the next page.", metavar="ID", minimum=1)
    ] = None


def look_list(workspace: Workspace, request: List) -> Page:
    """A page of entries. Raises BadUsage, Refused where the log isn't installed, NotAllowed."""
    filters = filters_of(request)
    with reading(workspace) as log:
        found = log.page(filters, request.limit, request.before)
        earlier = log.earlier(found[0]) if request.transaction and found else None
        moved = log.moved() if request.transaction else ""
    facts = {"filters": filters, "entries": found, "earlier": earlier}
    page = Page("audit list", facts, private=PRIVATE)
    if not found:
        page.line("No entry of the audit log fits.")
        return page
    page.table(
        ("ID", "When", "Action", "Table", "Key", "Who", "Application"),
        map(_row, found),
        right=("ID",),
        whole=("ID", "When"),
    )
    page.hint(f"one of them with its values: tabsync audit show {found[0]['id']}")
    if len(found) == request.limit:
        page.hint(f"older ones: --before {found[-1]['id']}")
    if earlier:
        page.note(
            f"before the database was restored or failed over, another transaction had number {request.transaction}"
        )
        page.hint(f"to see that one: --before {earlier + 1}")
    if moved:
        page.note(f"{moved}: entries of two transactions may be mixed, until tabsync audit seal has run")
    return page


def filters_of(request: List) -> dict[str, str]:
    """What was asked for, as the log has it. Raises BadUsage."""
    if request.grep and not request.since:
        raise BadUsage("--grep reads every entry, so it needs --since", "for example --since '1 day ago'")
    if request.transaction and not (request.transaction.isdecimal() and len(request.transaction) < 20):
        raise BadUsage(f"{request.transaction!r} is no transaction", "its number, as tabsync audit show ID tells it")
    found = {
        "table": table_text(request.table) if request.table else "",
        "key": request.key,
        "since": iso(moment_of(request.since, "--since")) if request.since else "",
        "until": iso(moment_of(request.until, "--until")) if request.until else "",
        "action": request.action.upper(),
        "by": request.by,
        "app": request.app,
        "transaction": request.transaction,
        "grep": request.grep,
    }
    return {name: value for name, value in found.items() if value}


def _row(one: Facts) -> tuple[str, ...]:
    return (
        str(one["id"]),
        local_text(one["at"]),
        escaped(one["action"]),
        short(one["table"] or one["entity"], "table"),
        short(one["key"], "key"),
        short(who_text(one), "who"),
        short(one["app"] or "-", "app"),
    )


def local_text(at: str) -> str:
    """When an entry was written, in local time."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"


def short(text: str, column: str) -> str:
    """A text in its column, with what is not printable escaped."""
    plain = escaped(text.removeprefix("public."))
    return plain if len(plain) <= _WIDE[column] else f"{plain[: _WIDE[column] - 1]}…"
