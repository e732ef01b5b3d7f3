"""tabsync migration status: what the histories of migrations say, held against the files, and who migrates now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso, local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.migrations.changes.judging import Found
from tabsync.migrations.find import Tool, histories
from tabsync.migrations.histories.history import History, Migration, State
from tabsync.migrations.histories.table import locks
from tabsync.migrations.there import Seen, lacking_of, left_of, search_path, what_is_there
from tabsync.migrations.tools.prisma import LOCK
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)
_STATEMENT = 44  # characters of a statement
_ERROR = 300  # characters of what a tool noted of an error
_WITHOUT_FILES = "what is pending or was edited: give the files with --folder"


@dataclass(frozen=True, slots=True)
class Status:
    """What one may ask of migration status."""

    folder: Annotated[
        Path | None, Option("The folder of the migrations, or of the project; without it files are not looked at.")
    ] = None


def look_status(workspace: Workspace, request: Status) -> Page:
    """All histories. Exit code 1 where a person has to look at a migration. Raises BadUsage, NotAllowed."""
    path = search_path(workspace)
    with workspace.connect("migrations", _LIMITS) as connection:
        both, odd = histories(connection, request.folder)
        holders = locks(connection, LOCK)
        seen = {
            each.name: _seen(connection, tool, one, each, path) for tool, one in both for each in one.of(State.FAILED)
        }
    found = [one for _, one in both]
    facts = {name: [one.to_json() for one in each] for name, each in seen.items()}
    page = Page(
        "migration status", {"histories": [_json(one) for one in found], "failed": facts, "locks": holders, "odd": odd}
    )
    if not found:
        page.line(("NO HISTORY OF MIGRATIONS", "strong warning"), ": no tool that is known keeps one in this database")
    for one in found:
        _show(page, one, seen)
    for line in odd:
        page.line((f"not read: {line}", "warning"))
    for line in _working(holders):
        page.line(line)
    if odd or any(one.wrong for one in found):
        page.exit_code = Exit.PROBLEM_FOUND
    return page


def _seen(connection: Connection, tool: Tool, one: History, failed: Migration, path: list[str]) -> list[Seen]:
    """Each statement of a migration that failed; [] where they are not known."""
    text = tool.script(Path(one.folder), failed.name) if tool.script and one.folder else None
    return what_is_there(connection, text, path) if text else []


def _show(page: Page, one: History, seen: Mapping[str, list[Seen]]) -> None:
    failed, running, pending = one.of(State.FAILED), one.of(State.RUNNING), one.of(State.PENDING)
    if failed:
        page.line((f"{len(failed)} FAILED", "strong bad"), f": {one.tool}, {one.table}")
    elif running:
        page.line(("A MIGRATION RUNS", "strong warning"), f": {one.tool}, {one.table}")
    elif one.wrong:
        page.line((f"{len(one.wrong)} TO LOOK AT", "strong warning"), f": {one.tool}, {one.table}")
    elif pending:
        page.line((f"{len(pending)} PENDING", "strong"), f": {one.tool}, {one.table}")
    else:
        page.line(("UP TO DATE" if one.folder else "NOTHING FAILED", "strong good"), f": {one.tool}, {one.table}")
    waiting = f"{len(pending):,} pending, " if one.folder else ""
    page.line(f"{len(one.of(State.APPLIED)):,} applied, {waiting}{len(failed):,} failed")
    rows = [
        (one.name, one.state.value, _when(one.finished or one.started), ", ".join(_why(one)) or "-")
        for one in one.migrations
        if one.wrong or one.state is State.PENDING
    ]
    if rows:
        page.table(("Migration", "State", "When", "What is odd"), rows, whole=("Migration",))
    for each in failed:
        if each.error:
            page.line(f"{each.name}: {in_one_line(each.error)[:_ERROR]}", whole=True)
        _show_statements(page, each, seen.get(each.name, []))
    unknown = (
        one.unknown if one.folder else ("what is pending or was edited: give the files with --folder", *one.unknown)
    )
    for line in unknown:
        page.line((f"unknown: {line}", "quiet"))
    if failed:
        page.hint("run no other migration until it is resolved: the statements before the one that failed may be there")


def _show_statements(page: Page, failed: Migration, seen: list[Seen]) -> None:
    """What of it is there. Whether it ran in a transaction depends on the tool's version, so only the catalog tells."""
    if not seen:
        return
    rows = [(str(one.statement.line), in_one_line(one.statement.text)[:_STATEMENT], _found(one)) for one in seen]
    page.table(("Line", f"Statement of {failed.name}", "In the database"), rows, right=("Line",))
    if not left_of(seen):
        page.line(("nothing of it is there: it counts as rolled back", "strong"))
    elif not lacking_of(seen):
        page.line(("all of it is there: it counts as applied", "strong"))
    else:
        count = sum(one.found is Found.THERE for one in seen)
        page.line((f"{count} of {len(seen)} statements are there: it is neither applied nor rolled back", "warning"))
        page.hint(
            f"to take that away: tabsync migration undo {in_one_line(quote(failed.name))} --folder FOLDER --dry-run"
        )


def _found(one: Seen) -> str:
    """What of a statement is there, and why it can't be told."""
    return f"{one.found.value}: {one.why}" if one.why and one.found is not Found.THERE else one.found.value


def _when(text: str) -> str:
    """A time of the tool's table, in local time where it has a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text[:19] or "-"
    return local(iso(moment)) if moment.tzinfo else f"{moment:%Y-%m-%d %H:%M:%S}"


def _why(one: Migration) -> Iterator[str]:
    if one.edited:
        yield "edited since it was applied"
    if one.in_folder is False:
        yield "not in the folder"
    if one.late:
        yield "comes before one that is applied"


def _working(holders: list[Facts]) -> Iterator[str]:
    """Who holds the tool's lock. Prisma tells people that the server can't be reached when it does not get it."""
    for one in holders:
        who = f"session {one['pid']} ({in_one_line(one['application']) or '-'} as {one['user']})"
        if one["granted"]:
            since = human_seconds(one["seconds"] or 0)
            yield f"{who} holds Prisma's migration lock, connected for {since}, {one['state']}"
        else:
            yield f"{who} waits for Prisma's migration lock; after 10 s it says P1002, that the server can't be reached"


def _json(one: History) -> Facts:
    facts = asdict(one)
    return facts | {"migrations": [asdict(each) | {"wrong": each.wrong} for each in one.migrations]}
