"""tabsync app switch-database: give an application another database. Its connection string is named, never given."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.app.configured import application
from tabsync.app.restart import claims, output, waiting
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.conninfo import check_conninfo, without_secrets

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LONGEST = 10_000  # bytes of a file with a connection string
_GIVE = (
    "put the connection string into a variable, and name that: --to NEW_DATABASE_URL; or into a file: --to-file FILE"
)


@dataclass(frozen=True, slots=True)
class Switch:
    """What one may ask of app switch-database."""

    name: Annotated[str, Argument("The application, as [app.NAME] in tabsync.toml calls it.")]
    to: Annotated[
        str,
        Option("The variable it is read from, or the secret of Kubernetes or Azure.", metavar="NAME"),
    ] = ""
    to_file: Annotated[Path | None, Option("The file with the connection string, instead of a variable.")] = None


def plan_switch(workspace: Workspace, request: Switch) -> Planned[Workspace]:
    """Plan it. Raises BadUsage for what names no connection string, TabsyncError for what can't be reached."""
    from tabsync.app.slots import notes_on_database, notes_on_room

    _check(request)
    one = application(workspace, request.name)
    source: Facts = {}
    notes: tuple[str, ...] = ()
    if one.switch_takes == "secret":
        if request.to_file or not _SECRET.fullmatch(request.to):
            raise BadUsage(
                f"{one.place} takes the name of a secret that is kept there", "name it: --to SECRET, in small letters"
            )
        to = request.to
        notes = ("which database the secret leads to is unknown here",)
    else:
        source = {"file": str(request.to_file.resolve())} if request.to_file else {"variable": request.to}
        connection = connection_of(source)
        to = without_secrets(connection)
        source["leads_to"] = to
        notes = notes_on_database(connection)
    intended = one.switch_plan(to)
    step = Step(
        "switch",
        f"Give {one.place} another database: {to}",
        call(switch, name=request.name, facts=intended.facts, source=source),
        intended.preview,
        Risk.DESTRUCTIVE,
        f"{intended.undo}; what was written meanwhile is in the new database only",
        deadline=one.timeout + 90.0,
        repeatable=True,
        claims=claims(request.name),
    )
    target = {"app": request.name, **intended.target}
    steps = (step, waiting(one, request.name, intended.facts))
    plan = Plan("app switch-database", f"Give {one.place} another database", steps, target, confirm=request.name)
    return Planned(plan, (*notes, *intended.notes, *notes_on_room(workspace)))


def switch(context: Context, *, name: str, facts: Facts, source: Facts) -> Facts:
    """Give it the other database, as planned. source: where the connection string is, and where it led then.

    Raises Refused when it leads elsewhere by now.
    """
    connection = connection_of(source) if source else ""
    if source and without_secrets(connection) != source["leads_to"]:
        raise Refused("the connection string leads to another place than in the plan", "make a new plan")
    return application(context.workspace, name).switch(facts, connection)


def connection_of(source: Facts) -> str:
    """A connection string from where it is. Raises BadUsage, without repeating anything of it."""
    if "variable" in source:
        where, found = f"the variable {source['variable']}", os.environ.get(source["variable"], "").strip()
        if not found:
            raise BadUsage(f"{where} is not set in this process", _GIVE)
    else:
        where, found = source["file"], _in_file(Path(source["file"]))
    try:
        check_conninfo(found)
    except BadUsage as error:
        raise BadUsage(f"{where} holds no connection string that PostgreSQL accepts", error.hint) from None
    return found


def show_switch(done: Done[Workspace, Switch]) -> Page:
    """What it has now, and how it is."""
    name, results = done.request.name, done.results
    page = Page("app switch-database", {"app": name, "switch": results["switch"], "wait": results["wait"]})
    page.line((f"{name} HAS ANOTHER DATABASE", "strong good"), f": {results['wait']['told']}")
    output(page, results["switch"])
    if kept := results["switch"].get("kept"):
        page.note(f"the settings of before, with their password, are in {kept}")
    page.hint("tabsync.toml still names the database of before: to look after the new one, change database there")
    return page


def _check(request: Switch) -> None:
    if bool(request.to) == bool(request.to_file):
        said = "both --to and --to-file were" if request.to else "neither --to nor --to-file was"
        raise BadUsage(f"{said} given", _GIVE)
    # It would be in the list of processes and in the record; so it is not repeated either.
    if request.to and not (_VARIABLE.fullmatch(request.to) or _SECRET.fullmatch(request.to)):
        raise BadUsage("what --to gives is not the name of a variable or secret", _GIVE)


def _in_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            text = opened.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise BadUsage(f"{file} holds no connection string: it is too long", _GIVE)
        return text.decode().strip()
    except OSError as error:
        raise BadUsage(f"can't read {file}: {error.strerror}", "check its permissions") from None
    except UnicodeDecodeError:
        raise BadUsage(f"{file} holds no connection string: it is no text", _GIVE) from None
