"""tabsync manual run, undo: a procedure that the manual brings itself, and its way back, each in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

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
    last = _last(workspace, one)
    if not request.force and last is not None and last["facts"]["state"] != _UNDONE:
        raise _refused(one, last, "is done already", f'to undo it: tabsync manual undo "{one.title}"')
    return _planned(workspace, one, one.sql, values, _DONE)


def plan_undo(workspace: Workspace, request: Run) -> Planned[Workspace]:
    """Plan to undo it, with the values it was run with. Raises Refused when it does not stand done."""
    one = _named(workspace, request.name)
    last = _last(workspace, one)
    stands = last is not None and last["facts"]["state"] == _DONE
    if not request.force and not stands:
        if last is None or last["facts"]["state"] == _UNDONE:
            what = "was not run from here" if last is None else "is undone already"
            raise Refused(f"{one.title!r} {what}", "if it has to be: add --force, after --dry-run")
        raise _refused(one, last, "", "")
    used = last["facts"]["values"] if last is not None else {}
    return _planned(workspace, one, one.undo, used | _values(request.values), _UNDONE)


def _refused(one: OwnProcedure, last: Facts, what: str, hint: str) -> Refused:
    at = f"{last['at'][:16].replace('T', ' ')} UTC"
    if last["facts"]["state"] == _BEGUN:
        return Refused(
            f"{one.title!r} was begun at {at}, and nobody knows whether it was carried out",
            "look at the data; then add --force to what has to be done",
        )
    return Refused(f"{one.title!r} {what}, since {at}", hint)


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


def _last(workspace: Workspace, one: OwnProcedure) -> Facts | None:
    """What was done with it last, of this database."""
    kept = evidence_since(workspace.ledger(), KIND, place(workspace.conninfo), limit=500)
    return next((each for each in kept if each["facts"]["title"] == one.title), None)


def _planned(
    workspace: Workspace, one: OwnProcedure, sql: str, values: dict[str, str], state: str
) -> Planned[Workspace]:
    if missing := [name for name in open_in_sql(sql) if name not in values]:
        raise BadUsage(f"{one.title!r} leaves open: {', '.join(missing)}", f"--set {missing[0]}=VALUE")
    try:
        whole = sql_with(sql, values)
    except ValueError as error:
        raise BadUsage(f"{one.title!r}: {error}", "mend the manual: tabsync manual check") from None
    if told := check_sql(whole):
        raise Refused(f"this SQL can't be read: {'; '.join(told)}", "mend the manual: tabsync manual check")
    with workspace.connect("manual") as connection:
        name = connection.info.dbname
    other = "undo" if state == _DONE else "run"
    noted: Facts = {"title": one.title, "subject": place(workspace.conninfo), "values": values}
    way_back = f'tabsync manual {other} "{one.title}"'
    steps = (
        Step("begin", "Note that it begins", call(note, **noted, state=_BEGUN)),
        Step("apply", "Run it in one transaction", call(apply, sql=whole), whole, risk=Risk.REVERSIBLE, undo=way_back),
        Step("note", "Note that it is done", call(note, **noted, state=state)),
    )
    word = "run" if state == _DONE else "undo"
    target: Facts = {"database": name, "host": conninfo_to_dict(workspace.conninfo).get("host")}
    return Planned(Plan(f"manual {word}", f"{word.capitalize()} {one.title!r}", steps, target))


def note(context: Context, *, title: str, subject: str, values: Facts, state: str) -> Facts:
    """Note how a procedure stands: before it is carried out too, so that one that died is not taken for one not run."""
    facts: Facts = {"title": title, "state": state, "values": values}
    add_evidence(context.workspace.ledger(), KIND, subject, ok=state != _BEGUN, facts=facts, run_id=context.run_id)
    return facts


def show(done: Done[Workspace, Any]) -> Page:
    """How many rows were changed, and the way back."""
    rows = done.results["apply"]["rows"]
    noted = done.results["note"]
    page = Page("manual run", {"procedure": noted["title"], "state": noted["state"], "rows": rows})
    page.line((f"{noted['title']}: {noted['state']}", "strong good"), f"; {', '.join(map(str, rows)) or 'no'} rows.")
    if noted["state"] == _DONE:
        page.hint(f'to undo it: tabsync manual undo "{noted["title"]}"')
    return page
