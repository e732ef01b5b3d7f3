"""tabsync maintenance indexes: those that are invalid are updated by each write, and read by no query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from psycopg import sql

from tabsync.kernel.errors import BadUsage, Exit, FailedPartway, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.maintenance.work import BUILDING, DROPPING, LOOKING, do, rows
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target, relation_named
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


@dataclass(frozen=True, slots=True)
class Indexes:
    """What one may ask of maintenance indexes."""

    name: Annotated[str | None, Argument("The index, schema.index; by default all that are invalid.")] = None
    rebuild: Annotated[bool, Option("Build them anew, and drop what an earlier attempt has left.")] = False
    drop: Annotated[bool, Option("Drop them.")] = False


@dataclass(frozen=True, slots=True)
class _About:
    """What is invalid, and what may be so only because somebody works on its table."""

    found: Sequence[Facts]
    busy: Sequence[Facts]


def plan_indexes(workspace: Workspace, request: Indexes) -> Planned[Workspace]:
    """Plan what to do about invalid indexes; without --rebuild and --drop they are only listed.

    Raises BadUsage, Refused for an index that is valid, or is being built.
    """
    if request.rebuild and request.drop:
        raise BadUsage("--rebuild and --drop exclude each other", "tabsync maintenance indexes --help")
    names = {"schema": None, "name": None}
    if request.name is not None and not request.name.strip():  # a variable of a script that is not set
        raise BadUsage("the name of the index is empty", "leave it out for all indexes that are invalid")
    if request.name:
        try:
            relation = relation_named(request.name)
        except ValueError:
            raise BadUsage(f"{request.name!r} is not the name of an index", "as schema.index") from None
        names = {"schema": relation.schema, "name": relation.name}  # type: ignore[dict-item]
    with workspace.connect("maintenance", LOOKING) as connection:
        check_primary(connection)
        target, found = identity(connection), rows(connection, "indexes", **names)
    if request.name:
        _check(request.name, found)
    busy = [one for one in found if one["busy_by"] or one["built_by"]]
    found = [one for one in found if one not in busy]
    acts = request.rebuild or request.drop
    steps = tuple(_step(number, one, target, drop=request.drop) for number, one in enumerate(found, 1)) if acts else ()
    notes = [f"{_named(one)} is left: {_busy(one)}" for one in busy]
    count = f"{len(found)} invalid index{'es' if len(found) != 1 else ''}"
    plan = Plan("maintenance indexes", f"{'Drop' if request.drop else 'Rebuild'} {count}", steps, target)
    return Planned(plan, tuple(notes), about=_About(found, [one for one in busy if not one["built_by"]]))


def show_indexes(done: Done[Workspace, Indexes]) -> Page:
    """What is invalid, or what was done about it."""
    if done.outcome is None:
        about = done.planned.about
        return _listed(about.found, about.busy) if isinstance(about, _About) else _listed([], [])
    results = [facts for _, facts in sorted(done.results.items())]
    page = Page("maintenance indexes", {"indexes": results})
    bad = [one for one in results if one["state"] == "invalid"]
    for state in ("rebuilt", "dropped", "invalid", "left"):
        names = [one["index"] for one in results if one["state"] == state]
        if names:
            page.line(
                (f"{state.upper()}", "strong bad" if state == "invalid" else "strong good"), f": {', '.join(names)}"
            )
    for one in results:
        if one.get("why"):
            page.note(f"{one['index']}: {one['why']}")
    if bad:
        page.exit_code = Exit.PROBLEM_FOUND
    return page


def rebuild(context: Context, *, target: Facts, index: Facts) -> Facts:
    """Build an index anew beside itself. What a failed attempt of this step leaves is dropped.

    Raises FailedPartway with why it failed: duplicate values, a lock that did not come.
    """
    name = str(Relation(index["schema"], index["name"]))
    with context.workspace.connect("maintenance", BUILDING) as connection:
        prove_target(connection, target)
        if why := _changed(connection, index):
            return {"index": name, "state": "left", "why": why}
        before = [one["oid"] for one in _leftovers(connection, index)]
        try:
            do(context, connection, "reindex", name, index=sql.Identifier(index["schema"], index["name"]))
        except FailedPartway:
            if not connection.closed:
                for one in _leftovers(connection, index):
                    if one["oid"] not in before and not one["busy_by"]:
                        do(context, connection, "drop", name, index=sql.Identifier(one["schema"], one["name"]))
            raise
        found = [one for one in rows(connection, "indexes", schema=index["schema"], name=index["name"]) if one["valid"]]
    return {"index": name, "state": "rebuilt" if found else "invalid", "definition": index["definition"]}


def drop_index(context: Context, *, target: Facts, index: Facts) -> Facts:
    """Drop an index that is still invalid. Raises FailedPartway with why it failed."""
    name = str(Relation(index["schema"], index["name"]))
    with context.workspace.connect("maintenance", DROPPING if index["base"] else BUILDING) as connection:
        prove_target(connection, target)
        if why := _changed(connection, index):
            return {"index": name, "state": "left", "why": why}
        do(context, connection, "drop", name, index=sql.Identifier(index["schema"], index["name"]))
    return {"index": name, "state": "dropped", "definition": index["definition"]}


def _check(name: str, found: Sequence[Facts]) -> None:
    if not found:
        raise BadUsage(f"there is no index {name}", "to list the invalid ones: tabsync maintenance indexes")
    if found[0]["valid"]:
        raise Refused(f"the index {name} is valid; nothing was changed", "tabsync maintenance indexes")
    if found[0]["built_by"] or found[0]["busy_by"]:
        raise Refused(
            f"the index {name} is left: {_busy(found[0])}; nothing was changed",
            "to see how long it has run: tabsync queries show",
        )


def _busy(one: Facts) -> str:
    """Why one is left for now."""
    if one["built_by"]:
        return f"session {one['built_by']} builds it, and it is invalid until then"
    return f"session {one['busy_by']} builds an index on {one['table']}, or vacuums it: look again when it has ended"


def _changed(connection: Connection, index: Facts) -> str:
    """Why an index isn't any more what it was when this was planned, "" when it is."""
    found = rows(connection, "indexes", schema=index["schema"], name=index["name"])
    if not found or found[0]["oid"] != index["oid"]:
        return "it was dropped or renamed meanwhile"
    if found[0]["valid"]:
        return "it is valid by now"
    return _busy(found[0]) if found[0]["built_by"] or found[0]["busy_by"] else ""


def _leftovers(connection: Connection, index: Facts) -> list[Facts]:
    """What attempts to build an index anew have left beside it."""
    return [one for one in rows(connection, "indexes", schema=None, name=None) if one["base"] == index["oid"]]


def _step(number: int, one: Facts, target: Facts, *, drop: bool) -> Step:
    index = {key: one[key] for key in ("schema", "name", "oid", "base", "definition")}
    leftover = one["base"] > 0
    if drop or leftover:
        why = ", left by an attempt that failed" if leftover else ""
        done = call(drop_index, target=target, index=index)
        title, preview = f"Drop {_named(one)}{why}", f"drop index concurrently {_named(one)}"
        undo = f"{one['definition'].replace(' INDEX ', ' INDEX CONCURRENTLY ', 1)}"
    else:
        done = call(rebuild, target=target, index=index)
        title = f"Rebuild {_named(one)} of {one['table']}, {human_bytes(one['bytes'])}"
        preview, undo = f"reindex index concurrently {_named(one)}", "no undo needed: nothing reads it now"
    return Step(f"index_{number:03}", title, done, preview, Risk.REVERSIBLE, undo, repeatable=True)


def _named(one: Facts) -> str:
    return str(Relation(one["schema"], one["name"]))


def _listed(found: Sequence[Facts], busy: Sequence[Facts]) -> Page:
    page = Page("maintenance indexes", {"indexes": list(found), "busy": list(busy)})
    if busy and not found:
        page.line(("UNKNOWN", "strong warning"), f": {len(busy)} invalid, and somebody works on the table now")
        page.exit_code = Exit.UNKNOWN
        return page
    if not found:
        page.line(("NO INVALID INDEX", "strong good"))
        return page
    page.line((f"{len(found)} INVALID INDEX{'ES' if len(found) > 1 else ''}", "strong warning"))
    table = (
        (_named(one), str(one["table"]), human_bytes(one["bytes"]), one["constraint_name"] or "-") for one in found
    )
    page.table(("Index", "Table", "Size", "Constraint"), table, right=("Size",))
    page.hint("to build them anew: tabsync maintenance indexes --rebuild; if they are not needed: --drop")
    page.exit_code = Exit.PROBLEM_FOUND
    return page
