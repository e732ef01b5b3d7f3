"""tabsync migration resolve: a migration that failed is noted as rolled back or as applied, if the catalog proves it.

To the history goes what Prisma's own `migrate resolve` would write; that one looks at nothing.
https://www.prisma.io/docs/orm/prisma-migrate/workflows/patching-and-hotfixing
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.migrations.find import check_quiet, histories
from tabsync.migrations.folder import needed, typed, with_folder
from tabsync.migrations.histories.history import History, State
from tabsync.migrations.histories.lock import GUARD
from tabsync.migrations.histories.table import columns_of
from tabsync.migrations.left import noted_left
from tabsync.migrations.there import lacking_of, left_of, search_path, what_is_there
from tabsync.migrations.tools import prisma
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "resolve.sql")
_LIMITS = Limits(lock_timeout=2_000, statement_timeout=10_000)
_OWN = {"Flyway": "flyway repair", "golang-migrate": "migrate force VERSION"}
_LOOK = "what of it is there: tabsync migration status"


@dataclass(frozen=True, slots=True)
class Resolve:
    """What one may ask of migration resolve."""

    name: Annotated[str, Argument("The migration that failed.")]
    folder: Annotated[Path | None, Option("The folder of the migrations, or of the project.")] = None
    rolled_back: Annotated[bool, Option("Nothing of it is there: the next deployment runs it again.")] = False
    applied: Annotated[bool, Option("All of it is there: the next deployment goes on behind it.")] = False
    force: Annotated[bool, Option("Also where the catalog doesn't prove it; with --reason.")] = False
    reason: Annotated[str, Option("Why; it is recorded.")] = ""


def plan_resolve(workspace: Workspace, request: Resolve) -> Planned[Workspace]:
    """Plan to note it. Raises BadUsage, Refused where it has not failed or the catalog doesn't prove the claim."""
    if request.rolled_back == request.applied:
        raise BadUsage("say what became of it", "--rolled-back or --applied")
    if request.force and not request.reason.strip():
        raise BadUsage("--force needs a reason", '--force --reason "the ticket"')
    request = with_folder(workspace, request)
    needed(request.folder)
    path = search_path(workspace)
    with workspace.connect("migrations", _LIMITS) as connection:
        check_primary(connection)
        target = identity(connection)
        history = _failed(connection, request)
        why = edited(history, request.name)
        why = why or unproven(connection, Path(history.folder), request.name, path, applied=request.applied)
        if not request.applied:
            started = next(one.started for one in history.migrations if one.name == request.name)
            why = why or noted_left(workspace.ledger(), target, request.name, started)
        _check_writing(connection, relation_named(history.table))
    if why and not request.force:
        raise Refused(
            f"{request.name} can't be noted as {_state(request.applied)}: {why}", f"{_LOOK}{typed(request.folder)}"
        )
    notes = (f"not proven: {why}",) if why else ()
    step = Step(
        "resolve",
        f"Note {request.name} as {_state(request.applied)}",
        call(
            resolve,
            target=target,
            table=history.table,
            name=request.name,
            folder=history.folder,
            applied=request.applied,
            force=request.force,
        ),
        f"in {history.table}: rolled_back_at = now()" + ("; and a finished row" if request.applied else ""),
        Risk.REVERSIBLE,
        f"set rolled_back_at to NULL in the rows of {history.table} that the run names",
        claims=(f"migrations:{target['database']}",),
    )
    title = f"Note {request.name} as {_state(request.applied)}" + (f": {request.reason}" if request.reason else "")
    return Planned(Plan("migration resolve", title, (step,), target, target["database"]), notes)


def show_resolve(done: Done[Workspace, Resolve]) -> Page:
    """What is noted now."""
    facts = done.results["resolve"]
    page = Page("migration resolve", facts)
    page.line((f"NOTED AS {facts['state'].upper()}", "strong good"), f": {facts['name']}")
    page.hint("to see it as the tool does: npx prisma migrate status")
    return page


def resolve(
    context: Context, *, target: Facts, table: str, name: str, folder: str, applied: bool, force: bool
) -> Facts:
    """Write it, in one transaction with Prisma's lock. Raises Refused when it is not proven any more."""
    relation = relation_named(table)
    path = search_path(context.workspace)
    with context.workspace.connect("migrations", _LIMITS) as connection:
        prove_target(connection, target)
        with connection.transaction():
            for number, who in ((GUARD, "under guard runs"), (prisma.LOCK, "of Prisma holds the migration lock")):
                if not (connection.execute(_SQL["lock"], {"number": number}).fetchone() or (False,))[0]:
                    raise Refused(f"a deployment {who}", "tabsync migration status")
            connection.execute(sql.SQL(_SQL["hold"]).format(table=relation.identifier()))
            _check_writing(connection, relation)
            both, _ = histories(connection, Path(folder))
            check_quiet(connection, both)
            why = next((told for _, one in both if (told := edited(one, name))), "")
            why = why or unproven(connection, Path(folder), name, path, applied=applied)
            if why and not force:
                raise Refused(f"{name} can't be noted as {_state(applied)}: {why}", "plan it again")
            noted = _execute(connection, "rolled_back", relation, {"name": name})
            if not noted:
                raise Refused(f"{name} is not in a failed state any more", "tabsync migration status")
            if applied:
                digest = prisma.digest_of(Path(folder), name)
                _execute(connection, "applied", relation, {"name": name, "digest": digest})
    return {"name": name, "state": _state(applied), "rows": noted, "unproven": why}


def unproven(connection: Connection, folder: Path, name: str, path: list[str], *, applied: bool) -> str:
    """Why the catalog doesn't prove that all of a migration is there, or nothing of it; "" when it does."""
    script = prisma.script(folder, name)
    if script is None:
        return f"its file is not in {folder}"
    seen = what_is_there(connection, script, path)
    return lacking_of(seen) if applied else left_of(seen)


def edited(history: History, name: str) -> str:
    """Why the file can't tell what a migration did; "" when it is the one that ran, as far as the tool has noted it."""
    changed = any(one.name == name and one.edited for one in history.migrations)
    return "its file was changed since it ran: put the one back that failed, until it is resolved" if changed else ""


def _failed(connection: Connection, request: Resolve) -> History:
    """The history that has the migration as failed. Raises BadUsage, Refused."""
    found, _ = histories(connection, request.folder)
    check_quiet(connection, found)
    mine = [one for _, one in found if any(each.name == request.name for each in one.migrations)]
    if not mine:
        raise BadUsage(f"no history has a migration {request.name}", f"{_LOOK}{typed(request.folder)}")
    failed = [one for one in mine if any(each.name == request.name for each in one.of(State.FAILED))]
    if not failed:
        raise Refused(f"{request.name} is not in a failed state", f"{_LOOK}{typed(request.folder)}")
    if failed[0].tool != "Prisma":
        raise Refused(f"the history of {failed[0].tool} is for its own command", _OWN.get(failed[0].tool, "its manual"))
    return failed[0]


def _check_writing(connection: Connection, table: Relation) -> None:
    """See that writing a row runs nobody's code: a trigger of the table's owner would run as us. Raises Refused."""
    columns_of(connection, table)
    with connection.cursor(row_factory=dict_row) as cursor:
        name = table.identifier().as_string(connection)
        found = cursor.execute(_SQL["fires"], {"table": name}).fetchone()
    if found:
        raise Refused(f"{table} has {found['what']}, which would run as this role", "npx prisma migrate resolve")


def _execute(connection: Connection, block: str, table: Relation, values: Facts) -> list[str]:
    query = sql.SQL(_SQL[block]).format(table=table.identifier())
    return [str(one[0]) for one in connection.execute(query, values).fetchall()]


def _state(applied: bool) -> str:
    return "applied" if applied else "rolled back"
