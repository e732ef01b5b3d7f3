"""The page of `tabsync migration status`: what a person has to look at first, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from shlex import quote

from tabsync.kernel.clock import iso, local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page, Style
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.migrations.changes.judging import Found
from tabsync.migrations.drift import Drift
from tabsync.migrations.histories.history import History, Migration, State
from tabsync.migrations.histories.lock import are_gone
from tabsync.migrations.histories.masked import masked
from tabsync.migrations.looked import Looked
from tabsync.migrations.pending import is_begun
from tabsync.migrations.there import Seen, lacking_of, left_of
from tabsync.migrations.tools import plain

_STATEMENT = 44  # characters of a statement
_ERROR = 300  # characters of what a tool noted of an error
_NAME = 60
_ROWS = 200  # of a table on the page; JSON has all of them
_SESSIONS = 10
_WITHOUT_FILES = "what is pending or was edited: give the files with --folder"
_SQL_OF = {
    "Alembic": "alembic upgrade --sql BEFORE:REVISION > FILE",
    "Django": "python manage.py sqlmigrate APP NAME > FILE",
}


def show(looked: Looked) -> Page:
    """The page, and its exit code: 1 where a person has to look, 6 where only something is unknown."""
    page = Page("migration status", looked.to_json(), private=("statement", "error"))
    for tool in dict.fromkeys(one["tool"] for one in are_gone(looked.locks)):
        page.line(("LOCKED", "strong warning"), f": {tool}, for a deployment that is probably gone")
    if looked.guarded:
        since = human_seconds(looked.guarded["seconds"] or 0)
        page.line(("A DEPLOYMENT RUNS", "strong warning"), f" under guard, for {since}: what is told here changes")
    if not looked.histories and not looked.unsupported:
        page.line(("NO HISTORY OF MIGRATIONS", "strong warning"), ": no tool that is known keeps one in this database")
    for one in looked.histories:
        _show_history(page, one, looked)
    for table in looked.unsupported:
        page.line(("NOT SUPPORTED", "strong warning"), f": Prisma 8 keeps its state in {table}; it is not read")
        page.hint("Prisma 8 itself says it: npx prisma migration status")
    for name, seen in looked.asked.items():
        _show_statements(page, name, seen)
    for line in looked.odd:
        page.line((f"not read: {in_one_line(line)}", "warning"))
    _show_locks(page, looked)
    for drift in looked.drifts:
        _show_drift(page, drift)
    if looked.begun or any(one.of(State.FAILED) for one in looked.histories):
        page.hint("run no other migration until it is resolved: the statements before the one that failed may be there")
    page.exit_code = _exit_code(looked)
    return page


def _exit_code(looked: Looked) -> Exit:
    half = any(is_begun(seen) and {one.found for one in seen} != {Found.THERE} for seen in looked.asked.values())
    wrong = half or looked.odd or are_gone(looked.locks) or any(one.wrong for one in looked.histories)
    if wrong or any(one.verdict == "drift" for one in looked.drifts):
        return Exit.PROBLEM_FOUND
    unknown = looked.unsupported or any(one.verdict == "unknown" for one in looked.drifts)
    return Exit.UNKNOWN if unknown else Exit.DONE


def _show_history(page: Page, one: History, looked: Looked) -> None:
    failed, pending = one.of(State.FAILED), one.of(State.PENDING)
    page.line(_headline(one), f": {one.tool}, {in_one_line(one.table)}")
    waiting = f"{len(pending):,} pending, " if one.folder else ""
    page.line(f"{len(one.of(State.APPLIED)):,} applied, {waiting}{len(failed):,} failed")
    odd = [each for each in one.migrations if each.wrong or each.state is State.PENDING]
    if odd:
        rows = [
            (_name(each), each.state.value, _when(each.finished or each.started), ", ".join(_why(each)) or "-")
            for each in odd[:_ROWS]
        ]
        page.table(("Migration", "State", "When", "What is odd"), rows, whole=("Migration",))
    if len(odd) > _ROWS:
        page.note(f"{len(odd) - _ROWS:,} more are not shown; --json has all of them")
    for each in failed[:_ROWS]:
        if each.error:
            page.line(f"{_name(each)}: {in_one_line(each.error)[:_ERROR]}", whole=True)
        _show_statements(page, each.name, looked.failed.get(each.name, []))
    for each in one.migrations:
        if each.begun:
            _show_statements(page, each.name, looked.begun[each.name], each.state)
    for line in one.unknown if one.folder else (_WITHOUT_FILES, *one.unknown):
        page.line((f"unknown: {line}", "quiet"))
    if pending and one.tool in _SQL_OF and not looked.asked:
        page.hint(f"what of a pending one is there: {_SQL_OF[one.tool]}; tabsync migration status --sql FILE")


def _headline(one: History) -> tuple[str, Style]:
    failed, pending = one.of(State.FAILED), one.of(State.PENDING)
    if failed:
        return f"{len(failed)} FAILED", "strong bad"
    if one.of(State.RUNNING):
        return "A MIGRATION RUNS", "strong warning"
    if one.wrong:
        return f"{len(one.wrong):,} TO LOOK AT", "strong warning"
    if pending:
        return f"{len(pending):,} PENDING", "strong"
    return "UP TO DATE" if one.folder else "NOTHING FAILED", "strong good"


def _show_statements(page: Page, name: str, seen: list[Seen], state: State = State.FAILED) -> None:
    """What of it is there. Whether it ran in a transaction depends on the tool's version, so only the catalog tells."""
    if not seen:
        return
    rows = [
        (str(one.statement.line), in_one_line(masked(one.statement.text))[:_STATEMENT], _found(one)) for one in seen
    ]
    heading = f"Statement of {in_one_line(name)[:_NAME]}"
    page.table(("Line", heading, "In the database"), rows[:_ROWS], right=("Line",))
    count = sum(one.found is Found.THERE for one in seen)
    if state in (State.PENDING, State.ROLLED_BACK):
        _say_begun(page, seen, count, state)
    elif not left_of(seen):
        page.line(("nothing of it is there: it counts as rolled back", "strong"))
    elif not lacking_of(seen):
        page.line(("all of it is there: it counts as applied", "strong"))
    else:
        page.line((f"{count} of {len(seen)} statements are there: it is neither applied nor rolled back", "warning"))
        page.hint(in_one_line(f"to take that away: tabsync migration undo {quote(name)} --dry-run"))


def _found(one: Seen) -> str:
    """What of a statement is there, and why it can't be told."""
    return f"{one.found.value}: {one.why}" if one.why and one.found is not Found.THERE else one.found.value


def _say_begun(page: Page, seen: list[Seen], count: int, state: State) -> None:
    if count == len(seen):
        page.line(("all of it is there, and the tool has not noted it: applied again, it would fail", "warning"))
        return
    partly = sum(one.found is Found.PARTLY for one in seen)
    there = f"{count} of {len(seen)} statements are there" + (f", and {partly} partly" if partly else "")
    page.line((f"{there}, though the tool calls it {state.value}: applied now, it would fail", "warning"))
    page.line("It failed in the middle and the tool has noted nothing, or somebody did this by hand.")


def _show_locks(page: Page, looked: Looked) -> None:
    for one in looked.locks[:_SESSIONS]:
        style: Style = "warning" if one["verdict"] in ("gone", "waits", "unknown") else ""
        page.line((_session(one, looked.waits.get(one["tool"], "")), style), whole=True)
        if one["verdict"] == "gone":
            page.hint(f"to end the session: tabsync connections terminate {one['pid']}")
        elif one["granted"] and one["waits"] == "Lock":
            page.hint("to see whom it waits for: tabsync locks show")
    if len(looked.locks) > _SESSIONS:
        page.note(f"{len(looked.locks) - _SESSIONS:,} more sessions are not shown; --json has all of them")
    for tool in looked.lockless:
        lacks = f"no lock is known of what writes {tool}" if tool == plain.TABLE else f"{tool} takes no lock"
        page.line((f"{lacks}: nothing keeps two deployments from migrating at once", "quiet"))


def _session(one: Facts, waits: str) -> str:
    """One session in a line. A tool that does not get its lock may tell people that the server can't be reached."""
    who = in_one_line(one["application"] or "")[:_NAME] or "-"
    client = f" from {one['client']}" if one["client"] else ""
    session = f"session {one['pid']} ({who} as {in_one_line(one['user'] or '?')[:_NAME]}{client})"
    if not one["granted"]:
        return f"{session} {one['says']} for {one['tool']}'s migration lock{f'; {waits}' if waits else ''}"
    holds = "holds the migration lock of " + one["tool"] if one["kind"] == "advisory" else f"has written {one['table']}"
    return f"{session} {holds}, connected for {human_seconds(one['seconds'] or 0)}: {one['says']}"


def _show_drift(page: Page, one: Drift) -> None:
    if one.verdict == "drift":
        page.line(("DRIFT", "strong bad"), f": {one.says} differ, says {one.tool}")
    elif one.verdict == "none":
        page.line(("NO DRIFT", "strong good"), f": {one.says} agree, says {one.tool}")
    else:
        page.line((f"unknown: drift: {one.tool}: {in_one_line(one.says)}", "warning"))
    if one.command:
        page.line((f"    {in_one_line(one.folder)}$ {in_one_line(one.command)}", "quiet"), whole=True)
    for line in one.output:
        page.line((f"    {in_one_line(line)}", "quiet"), whole=True)


def _name(one: Migration) -> str:
    return in_one_line(one.name)[:_NAME]


def _when(text: str) -> str:
    """A time of the tool's table, in local time where it has a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return in_one_line(text)[:19] or "-"
    return local(iso(moment)) if moment.tzinfo else f"{moment:%Y-%m-%d %H:%M:%S}"


def _why(one: Migration) -> Iterator[str]:
    if one.edited:
        yield "edited since it was applied"
    if one.in_folder is False:
        yield "not in the folder"
    if one.late:
        yield "comes before one that is applied"
    if one.begun:
        yield "something of it is there already"
