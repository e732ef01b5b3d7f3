"""tabsync migration undo: what a failed migration has left is taken away, the last statement first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.migrations.folder import needed, typed, with_folder
from tabsync.migrations.there import search_path
from tabsync.migrations.undo.apply import LIMITS, undo
from tabsync.migrations.undo.half import Act, Stays
from tabsync.migrations.undo.looking import Failed, counted, failed, half
from tabsync.postgres.catalog import check_primary, identity

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_NEXT = {"Flyway": "note it: flyway repair", "golang-migrate": "note it: migrate force VERSION, of the one before it"}
_TEXT = 60  # characters of a statement
_NAMED = 5  # statements that a refusal names
_BACKUP = (
    "from a backup of before: tabsync restore new --from BACKUP, then tabsync restore diff and tabsync restore rows"
)


@dataclass(frozen=True, slots=True)
class Undo:
    """What one may ask of migration undo."""

    name: Annotated[str, Argument("The migration that failed.")]
    folder: Annotated[Path | None, Option("The folder of the migrations, or of the project.")] = None
    only_what_can_be_undone: Annotated[
        bool, Option("Undo the others where some statements can't be undone; without it that is refused.")
    ] = False


def plan_undo(workspace: Workspace, request: Undo) -> Planned[Workspace]:
    """Plan to take half a migration away. Raises BadUsage, Refused where it has not failed or something stays."""
    request = with_folder(workspace, request)
    folder = needed(request.folder)
    path = search_path(workspace)
    with workspace.connect("migrations", LIMITS) as connection:
        check_primary(connection)
        target = identity(connection)
        one = failed(connection, folder, request.name)
        found = half(connection, workspace.ledger(), target, one, path)
        rows = {number: counted(connection, act) for number, act in enumerate(found.acts)}
    if found.stays and not request.only_what_can_be_undone:
        raise _refusal(request, found.stays)
    if not found.acts:
        why = "what is there was there before it" if found.before else "nothing of it is there that can be undone"
        raise Refused(f"there is nothing to undo of {request.name}: {why}", _look(request))
    page = _page(found.acts, rows, found.stays)
    notes = [f"line {one.statement.line} stays: it was there before the migration" for one in found.before]
    notes += [f"line {one.seen.statement.line} stays: {one.why}" for one in found.stays]
    step = _step(workspace, request, one, target, found.acts, rows)
    plan = Plan("migration undo", f"Undo what {request.name} has left", (step,), target, target["database"])
    return Planned(plan, tuple(notes), before=page)


def show_undo(done: Done[Workspace, Undo]) -> Page:
    """What is gone, and what is there now."""
    facts = done.results["undo"]
    page = Page("migration undo", facts)
    left = facts["left"]
    if facts["may_have_changed"]:
        lines = ", ".join(map(str, facts["may_have_changed"]))
        left = "; ".join(filter(None, (left, f"what line {lines} may have done")))
    page.line(
        ("HALF OF IT STAYS" if left else "UNDONE", "strong warning" if left else "strong good"),
        f": {in_one_line(facts['name'])}",
    )
    page.line(
        f"{len(facts['statements'])} statements, {facts['rows']:,} rows kept"
        + (f" in {facts['kept']}" if facts["rows"] else "")
    )
    if facts["rows"]:
        back = f"psql -X -v ON_ERROR_STOP=1 -f {facts['kept']}"
        page.line(f"to get them back, once their tables and columns are there again: {back}", whole=True)
    if left:
        page.line((f"still there: {left}", "warning"))
        page.hint(_look(done.request))
    else:
        page.line("nothing of it is there")
        own = f"note it: tabsync migration resolve {quote(facts['name'])} --rolled-back{typed(done.request.folder)}"
        page.hint(in_one_line(own if facts["tool"] == "Prisma" else _NEXT.get(facts["tool"], "deploy again")))
    return page


def _step(
    workspace: Workspace, request: Undo, one: Failed, target: Facts, acts: list[Act], rows: dict[int, int | None]
) -> Step:
    loses = any(count != 0 for number, count in rows.items() if acts[number].words.holds)
    loses = loses or any(act.words.more or act.along for act in acts)
    preview = "\n".join(_told(act, rows[number]) for number, act in enumerate(acts))
    return Step(
        "undo",
        f"Take away what {request.name} has left: {len(acts)} statements",
        call(
            undo,
            target=target,
            name=request.name,
            folder=str(needed(request.folder)),
            acts=[{"statement": act.statement, "oid": act.identity.oid, "sub": act.identity.sub} for act in acts],
        ),
        preview,
        Risk.DESTRUCTIVE if loses else Risk.REVERSIBLE,
        f"run the migration again; rows that go are kept in {workspace.home / 'undo'}, as a script for psql",
        claims=(f"migrations:{target['database']}", f"database:{target['database']}"),
    )


def _page(acts: list[Act], rows: dict[int, int | None], stays: list[Stays]) -> Page:
    facts = [
        {
            "line": act.seen.statement.line,
            "statement": act.statement,
            "loses": _loses(act, rows[number]),
            "rows": rows[number],
        }
        for number, act in enumerate(acts)
    ]
    left = [{"line": one.seen.statement.line, "statement": one.seen.statement.text, "why": one.why} for one in stays]
    page = Page("migration undo", {"undone": facts, "stays": left})
    shown = [(str(one["line"]), in_one_line(str(one["statement"]))[:_TEXT], str(one["loses"])) for one in facts]
    page.table(("Line", "Taken away by", "What it loses"), shown, right=("Line",))
    if left:
        kept = [(str(one["line"]), in_one_line(str(one["statement"]))[:_TEXT], str(one["why"])) for one in left]
        page.table(("Line", "Stays", "Why"), kept, right=("Line",))
        page.line(f"what stays comes {_BACKUP}", whole=True)
    return page


def _told(act: Act, rows: int | None) -> str:
    """A statement in one line, with what it takes back and what goes."""
    loses = f", loses {_loses(act, rows)}" if act.words.holds or act.words.more or act.along else ""
    return f"{in_one_line(act.statement)};  -- line {act.seen.statement.line}{loses}"


def _loses(act: Act, rows: int | None) -> str:
    others = f"; with it goes {in_one_line(', '.join(act.along))}, which others have made" if act.along else ""
    if not act.words.holds:
        return act.words.more or "nothing"
    what = "rows" if act.words.holds == "*" else "values"
    if rows is None:
        return f"unknown how many {what}{others}"
    return (f"{rows:,} {what}" if rows else f"nothing: no {what}") + others


def _refusal(request: Undo, stays: list[Stays]) -> Refused:
    each = [f"line {one.seen.statement.line} {in_one_line(one.seen.statement.text)[:40]!r}: {one.why}" for one in stays]
    more = f"; and {len(each) - _NAMED} more" if len(each) > _NAMED else ""
    fact = f"{len(each)} statements of {request.name} can't be undone: {'; '.join(each[:_NAMED])}{more}"
    return Refused(fact, f"undo the others with --only-what-can-be-undone; these {_BACKUP}")


def _look(request: Undo) -> str:
    return in_one_line(f"what of it is there: tabsync migration status{typed(request.folder)}")
