"""tabsync migration status: what the histories of migrations say, held against the files, and who migrates now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page
from tabsync.kernel.request import Option
from tabsync.migrations.drift import drifts
from tabsync.migrations.find import TOOLS, Tool, histories
from tabsync.migrations.folder import with_folder
from tabsync.migrations.histories.history import History, State
from tabsync.migrations.histories.lock import GUARD, holders
from tabsync.migrations.histories.script import script_at
from tabsync.migrations.histories.table import locks
from tabsync.migrations.looked import Looked
from tabsync.migrations.pending import with_begun, without_notes
from tabsync.migrations.show_status import show
from tabsync.migrations.there import Seen, search_path, what_is_there
from tabsync.migrations.tools import prisma
from tabsync.migrations.tools.prisma8 import markers
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)


@dataclass(frozen=True, slots=True)
class Status:
    """What one may ask of migration status."""

    folder: Annotated[
        Path | None, Option("The folder of the migrations, or of the project; without it files are not looked at.")
    ] = None
    name: Annotated[str, Option("Also say what of this migration is there, whatever the tool says of it.")] = ""
    sql: Annotated[
        Path | None,
        Option("The SQL of a migration, as its tool prints it (alembic upgrade --sql): what of it is there."),
    ] = None
    drift: Annotated[
        bool, Option("Also run the tool's own check for drift. It runs code of the application.", of="host")
    ] = False
    env: Annotated[
        tuple[str, ...],
        Option("A variable that the check gets from our environment; repeatable.", metavar="NAME", of="host"),
    ] = ()


def look_status(workspace: Workspace, request: Status) -> Page:
    """All histories. Exit code 1 where a person has to look at a migration. Raises BadUsage, NotAllowed."""
    request = with_folder(workspace, request)
    path = search_path(workspace)
    with workspace.connect("migrations", _LIMITS) as connection:
        both, odd = histories(connection, request.folder)
        looked = Looked([], {}, odd=odd, unsupported=markers(connection))
        looked.guarded = next((one for one in locks(connection, GUARD) if one["granted"]), None)
        for tool, read in both:
            one, begun = (_running(read), {}) if looked.guarded else with_begun(connection, tool, read, path)
            looked.histories.append(one)
            looked.begun |= begun
            looked.failed |= {each.name: _seen(connection, tool, one, each.name, path) for each in one.of(State.FAILED)}
        looked.asked = _asked(connection, request, both, path)
        _look_for_locks(connection, both, looked)
    if request.drift or request.env:
        looked.drifts = drifts(workspace, looked.histories, request.folder or Path.cwd(), request.env)
    return show(looked)


def _running(one: History) -> History:
    """While a deployment runs: what its tool has noted without an error has not failed yet."""
    each = (
        replace(each, state=State.RUNNING) if each.state is State.FAILED and not each.error else each
        for each in one.migrations
    )
    return replace(one, migrations=tuple(each))


def _look_for_locks(connection: Connection, both: Sequence[tuple[Tool, History]], looked: Looked) -> None:
    """Prisma's lock is looked for without a history, too: its first deployment has none yet."""
    tables = [(tool, relation_named(one.table)) for tool, one in both]
    if not any(tool.table == prisma.TABLE for tool, _ in tables):
        tables.insert(0, (TOOLS[0], Relation("public", prisma.TABLE)))
    for tool, table in tables:
        lock = tool.lock(connection, table)
        looked.locks += holders(connection, lock, table)
        looked.waits[lock.tool] = lock.waits
        looked.lockless += [] if lock.numbers else [lock.tool]


def _asked(
    connection: Connection, request: Status, both: Sequence[tuple[Tool, History]], path: list[str]
) -> dict[str, list[Seen]]:
    """What of the migration that was named is there, by the SQL that was given or by its file. Raises BadUsage."""
    if request.sql is not None:
        text = script_at(request.sql)
        if text is None:
            raise BadUsage(f"there is no file {request.sql}", "alembic upgrade --sql OLD:NEW > FILE")
        return {request.name or request.sql.name: without_notes(what_is_there(connection, text, path))}
    if not request.name:
        return {}
    known = [(tool, one) for tool, one in both if any(each.name == request.name for each in one.migrations)]
    if not known:
        raise BadUsage(
            f"no history has a migration {request.name}", "to list them: tabsync migration status --folder ."
        )
    seen = _seen(connection, *known[0], request.name, path)
    if not seen:
        hint = "give it: --sql FILE" if known[0][1].folder else "where its file is: --folder ."
        raise BadUsage(f"the SQL of {request.name} is not known", hint)
    return {request.name: seen}


def _seen(connection: Connection, tool: Tool, one: History, name: str, path: list[str]) -> list[Seen]:
    """Each statement of a migration; [] where they are not known."""
    text = tool.script(Path(one.folder), name) if tool.script and one.folder else None
    return without_notes(what_is_there(connection, text, path)) if text else []
