"""tabsync maintenance vacuum, analyze: dead rows are removed, and the planner's statistics are made new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import BadUsage, Exit, FailedPartway, NotAllowed, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.maintenance.horizon import holders, in_vain, remedy, told
from tabsync.maintenance.work import LOOKING, WORKING, do, rows
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target, relation_named

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_ROWS = 20  # of the table of what came of it
_LINES = 20  # of a preview
_UNDO = "no undo needed: it changes no row that anybody can see"


@dataclass(frozen=True, slots=True)
class Vacuum:
    """What one may ask of maintenance vacuum."""

    table: Annotated[str | None, Argument("The table, schema.table; by default all that this role may vacuum.")] = None
    analyze: Annotated[bool, Option("Make the planner's statistics new too.")] = False
    anyway: Annotated[bool, Option("Also where next to nothing would be removed.")] = False


@dataclass(frozen=True, slots=True)
class Analyze:
    """What one may ask of maintenance analyze."""

    table: Annotated[str | None, Argument("The table, schema.table; by default all that this role may analyze.")] = None


def plan_vacuum(workspace: Workspace, request: Vacuum) -> Planned[Workspace]:
    """Plan to vacuum. Raises Refused where a transaction that is open would make it useless, BadUsage, NotAllowed."""
    with workspace.connect("maintenance", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        found, notes = _tables(rows(connection, "tables", **_names(request.table)), request.table, analyze=False)
        held = holders(connection)
        if not rows(connection, "sees_all")[0]["sees_all"]:
            notes.append("transactions of other users are not visible: unknown whether one holds VACUUM back")
    vain = in_vain(held, found[0]["vacuumed_at"]) if request.table else None
    if vain and not (request.anyway or request.analyze):
        raise Refused(f"VACUUM would remove next to nothing: {told(vain)}", f"{remedy(vain)}; or add --anyway")
    notes += [f"rows that died since then stay: {told(one)}: {remedy(one)}" for one in held[:3]]
    statement = "vacuum_analyze" if request.analyze else "vacuum"
    return Planned(_plan("maintenance vacuum", statement, found, target), tuple(notes))


def plan_analyze(workspace: Workspace, request: Analyze) -> Planned[Workspace]:
    """Plan to analyze. Raises BadUsage, NotAllowed."""
    with workspace.connect("maintenance", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        found, notes = _tables(rows(connection, "tables", **_names(request.table)), request.table, analyze=True)
    return Planned(_plan("maintenance analyze", "analyze", found, target), tuple(notes))


def show_tables(done: Done[Workspace, Vacuum | Analyze]) -> Page:
    """What came of each table."""
    facts = done.results.get("work", {"tables": [], "failed": []})
    page = Page(done.planned.plan.procedure, facts)
    worked, failed = facts["tables"], facts["failed"]
    seconds = human_seconds(sum(one["seconds"] for one in worked))
    vacuumed = done.planned.plan.procedure == "maintenance vacuum"
    verb = "VACUUMED" if vacuumed else "ANALYZED"
    count = f"{len(worked)} TABLE{'S' if len(worked) != 1 else ''}"
    page.line((f"{verb} {count}", "strong warning" if failed else "strong good"), f" in {seconds}")
    if vacuumed and worked:
        removed = sum(max(one["dead_before"] - one["dead_after"], 0) for one in worked)
        left = sum(one["dead_after"] for one in worked)
        page.line(f"{removed:,} dead rows removed, {left:,} remain")
        _shown(page, worked)
    for one in failed[:_ROWS]:
        page.line((one["table"], "warning"), f": {one['why']}")
    if failed:
        page.exit_code = Exit.PROBLEM_FOUND
    return page


def work(context: Context, *, target: Facts, statement: str, tables: list[Facts]) -> Facts:
    """Vacuum or analyze one table after another; one that fails doesn't keep the others from it.

    statement: "vacuum", "vacuum_analyze" or "analyze". Raises FailedPartway when none could be done.
    """
    done: list[Facts] = []
    failed: list[Facts] = []
    with context.workspace.connect("maintenance", WORKING) as connection:
        prove_target(connection, target)
        for number, one in enumerate(tables):
            relation = Relation(one["schema"], one["name"])
            context.report(number, len(tables), "tables")
            try:
                seconds = do(context, connection, statement, str(relation), table=relation.identifier())
            except (FailedPartway, NotAllowed) as error:
                failed.append({"table": str(relation), "why": error.fact.removeprefix(f"{relation}: ")})
                if connection.closed:
                    break
                continue
            dead = rows(connection, "dead", oid=one["oid"])[0]["dead"]
            done.append({"table": str(relation), "seconds": seconds, "dead_before": one["dead"], "dead_after": dead})
    if failed and not done:
        raise FailedPartway(f"{failed[0]['table']}: {failed[0]['why']}", "to see who holds locks: tabsync locks show")
    return {"tables": done, "failed": failed}


def _plan(procedure: str, statement: str, found: Sequence[Facts], target: Facts) -> Plan:
    verb = "Analyze" if statement == "analyze" else "Vacuum"
    tables = [{name: one[name] for name in ("schema", "name", "oid", "dead")} for one in found]
    what = str(Relation(found[0]["schema"], found[0]["name"])) if len(found) == 1 else f"{len(found)} tables"
    step = Step(
        "work",
        f"{verb} {what}{_size(found)}",
        call(work, target=target, statement=statement, tables=tables),
        _preview(statement, found),
        Risk.REVERSIBLE,
        _UNDO,
        repeatable=True,
    )
    return Plan(procedure, f"{verb} {what} of {target['database']}", (step,), target)


def _size(found: Sequence[Facts]) -> str:
    size = sum(one["bytes"] for one in found)
    return f", about {human_bytes(size)}" if size else ""


def _preview(statement: str, found: Sequence[Facts]) -> str:
    typed = {"vacuum": "vacuum", "vacuum_analyze": "vacuum (analyze)", "analyze": "analyze"}[statement]
    lines = [f"{typed} {Relation(one['schema'], one['name'])}" for one in found[:_LINES]]
    return "\n".join([*lines, *([f"-- and {len(found) - _LINES} more"] if len(found) > _LINES else [])])


def _names(table: str | None) -> Facts:
    if table is None:
        return {"schema": None, "name": None}
    if not table.strip():  # a variable of a script that is not set must not mean all tables
        raise BadUsage("the name of the table is empty", "leave it out to work on all tables")
    try:
        relation = relation_named(table)
    except ValueError:
        raise BadUsage(f"{table!r} is not the name of a table", "as schema.table") from None
    return {"schema": relation.schema, "name": relation.name}


def _tables(found: Sequence[Facts], table: str | None, *, analyze: bool) -> tuple[list[Facts], list[str]]:
    """Those that we may work on, and a note of the others. A partitioned table has no rows, but statistics."""
    if table and not found:
        raise BadUsage(f"there is no table {table}", "to list them: psql -c '\\dt'")
    fit = [one for one in found if table or analyze or one["kind"] != "p"]
    may = [one for one in fit if one["may"]]
    if not may:
        what = table or "any table"
        raise NotAllowed(f"this role may not work on {what}", "its owner may, and on 17 and later: pg_maintain")
    others = [one for one in fit if not one["may"] and one["schema"] != "pg_catalog"]
    note = f"{len(others)} tables are left: this role may not work on them"
    return may, [note] if others else []


def _shown(page: Page, worked: Sequence[Facts]) -> None:
    order = sorted(worked, key=lambda one: -(one["dead_before"] - one["dead_after"]))
    lines = [one for one in order if one["dead_before"] or one["dead_after"]][:_ROWS]
    if lines:
        table = (
            (one["table"], f"{one['dead_before']:,}", f"{one['dead_after']:,}", human_seconds(one["seconds"]))
            for one in lines
        )
        columns = ("Table", "Dead before", "Dead now", "Took")
        page.table(columns, table, right=columns[1:])
