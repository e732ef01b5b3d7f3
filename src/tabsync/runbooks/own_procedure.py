"""tabsync manual run, undo: a procedure that the manual brings itself, and its way back, each in one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence, evidence_since
from tabsync.manual.load import load
from tabsync.postgres.conninfo import place
from tabsync.postgres.readonly_text import check_sql
from tabsync.runbooks.placeholders import open_in_sql, sql_with
from tabsync.runbooks.sql_write import apply

if TYPE_CHECKING:
    from tabsync.manual.model import OwnProcedure
    from tabsync.workspace import Context, Workspace

KIND = "own procedure"
_BEGUN, _DONE, _UNDONE = "begun", "done", "undone"
_NOTED = 10_000  # notes of one procedure that are looked through
_LOST = ("08", "57P", "40003")
"""Beginnings of SQLSTATEs after which nobody knows whether the transaction was committed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of manual run and manual undo."""

    name: Annotated[str, Argument("The procedure, as its heading in the manual's section Procedures.")]
    values: Annotated[
        tuple[str, ...], Option("A value for what it leaves open: branch=7.", ("--set",), metavar="NAME=VALUE")
    ] = ()
    force: Annotated[bool, Option("Although it stands done, or undone, or nobody knows.")] = False


def plan_run(workspace: Workspace, request: Run) -> Planned[Workspace]:
    """Plan to run a procedure of the manual. Raises Refused when it stands done, or nobody knows whether it does."""
    one = _named(workspace, request.name)
    values = _values(request.values)
    _check(workspace, one.title, values, _DONE, force=request.force)
    return _planned(workspace, one, one.sql, values, _DONE, force=request.force)


def plan_undo(workspace: Workspace, request: Run) -> Planned[Workspace]:
    """Plan to undo it, with the values it was run with. Raises Refused when it does not stand done with these."""
    one = _named(workspace, request.name)
    values = _values(request.values) or _values_that_stand(workspace, one)
    _check(workspace, one.title, values, _UNDONE, force=request.force)
    return _planned(workspace, one, one.undo, values, _UNDONE, force=request.force)


def _values_that_stand(workspace: Workspace, one: OwnProcedure) -> dict[str, str]:
    """Those it was run with, where it stands done, or may. Raises BadUsage where there are several."""
    standing = [values for values, note in _states(workspace, one.title) if note["facts"]["state"] != _UNDONE]
    if len(standing) > 1:
        told = "; ".join(" ".join(f"{name}={value}" for name, value in one.items()) for one in standing)
        raise BadUsage(f"{one.title!r} stands done with several values: {told}", "--set NAME=VALUE, for one of them")
    return standing[0] if standing else {}


def _check(workspace: Workspace, title: str, values: Facts, state: str, *, force: bool) -> str:
    """How it stands. Raises Refused where that is already as it would be after this, or nobody knows."""
    last = next((note for known, note in _states(workspace, title) if known == values), None)
    stands = last["facts"]["state"] if last else ""
    at = f"since {last['at'][:16].replace('T', ' ')} UTC" if last else ""
    if force:
        return str(stands)
    if stands == _BEGUN:
        fact = f"{title!r} was begun, {at}, and nobody knows whether it was carried out"
        raise Refused(fact, "look at the data; then add --force to what has to be done")
    if state == _DONE and stands == _DONE:
        raise Refused(f"{title!r} is done already, {at}", f'to undo it: tabsync manual undo "{title}"')
    if state == _UNDONE and stands != _DONE:
        what = f"is undone already, {at}" if last else "was not run from here with these values"
        raise Refused(f"{title!r} {what}", "if it has to be: add --force, after --dry-run")
    return str(stands)


def _named(workspace: Workspace, name: str) -> OwnProcedure:
    found = load(workspace.manual_path).procedures
    one = next((each for each in found if each.title.lower() == name.lower()), None)
    if one is None:
        there = ", ".join(repr(each.title) for each in found) or "none: add a section Procedures to the manual"
        raise BadUsage(f"the manual has no procedure {name!r}", f"there are: {there}" if found else there)
    return one


def _values(given: tuple[str, ...]) -> dict[str, str]:
    for one in given:
        if "=" not in one:
            raise BadUsage(f"--set {one!r} has no value", "--set NAME=VALUE, for example --set branch=7")
    return dict(one.split("=", 1) for one in given)


def _states(workspace: Workspace, title: str) -> list[tuple[dict[str, str], Facts]]:
    """What was done with it last in this database, for each of the values that it was done with."""
    found: dict[str, tuple[dict[str, str], Facts]] = {}
    for note in evidence_since(workspace.ledger(), _kind(title), place(workspace.conninfo), limit=_NOTED):
        values = note["facts"]["values"]
        found.setdefault(json.dumps(values, sort_keys=True), (values, note))
    return list(found.values())


def _kind(title: str) -> str:
    return f"{KIND}: {title}"


def _planned(
    workspace: Workspace, one: OwnProcedure, sql: str, values: dict[str, str], state: str, *, force: bool
) -> Planned[Workspace]:
    if missing := [name for name in open_in_sql(sql) if name not in values]:
        raise BadUsage(f"{one.title!r} leaves open: {', '.join(missing)}", f"--set {missing[0]}=VALUE")
    try:
        whole = sql_with(sql, values)
    except ValueError as error:
        raise BadUsage(f"{one.title!r}: {error}", "mend the manual: tabsync manual check") from None
    if told := check_sql(whole):
        raise Refused(f"this SQL can't be run: {'; '.join(told)}", "mend the manual: tabsync manual check")
    with workspace.connect("manual") as connection:
        name = connection.info.dbname
    word, other = ("run", "undo") if state == _DONE else ("undo", "run")
    step = Step(
        "apply",
        "Run it in one transaction",
        call(apply_noted, title=one.title, values=values, sql=whole, state=state, force=force),
        whole,
        risk=Risk.REVERSIBLE,
        undo=f'tabsync manual {other} "{one.title}"',
        claims=(_kind(one.title),),
    )
    target: Facts = {"database": name, "host": conninfo_to_dict(workspace.conninfo).get("host")}
    return Planned(Plan(f"manual {word}", f"{word.capitalize()} {one.title!r}", (step,), target))


def apply_noted(context: Context, *, title: str, values: Facts, sql: str, state: str, force: bool) -> Facts:
    """Carry it out, and note how it stands: before, too, so that one that died is not taken for one that was not run.

    It is looked at again here, where no other run of it goes on. Raises as _check() and apply() do; what the server has
    rolled back is noted as not done.
    """
    workspace, subject = context.workspace, place(context.workspace.conninfo)
    before = _check(workspace, title, values, state, force=force)

    def note(how: str) -> None:
        facts: Facts = {"title": title, "state": how, "values": values}
        ok = how != _BEGUN
        add_evidence(workspace.ledger(), _kind(title), subject, ok=ok, facts=facts, run_id=context.run_id)

    note(_BEGUN)
    try:
        rows = apply(context, sql=sql)["rows"]
    except psycopg.Error as error:
        if error.sqlstate and not error.sqlstate.startswith(_LOST):
            note(before or _UNDONE)
        raise
    note(state)
    return {"title": title, "state": state, "rows": rows}


def show(done: Done[Workspace, Any]) -> Page:
    """How many rows were changed, and the way back."""
    came = done.results["apply"]
    rows = came["rows"]
    page = Page("manual run", {"procedure": came["title"], "state": came["state"], "rows": rows})
    page.line((f"{came['title']}: {came['state']}", "strong good"), f"; {', '.join(map(str, rows)) or 'no'} rows.")
    if came["state"] == _DONE:
        page.hint(f'to undo it: tabsync manual undo "{came["title"]}"')
    return page
