"""Which tools have a history in a database, and where their files are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plain import in_one_line
from tabsync.migrations.histories.history import History, State
from tabsync.migrations.histories.lock import Lock, check_nobody_migrates
from tabsync.migrations.histories.table import Odd, places
from tabsync.migrations.tools import alembic, django, flyway, plain, prisma, supabase
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. schema: where its table is, "" for any but that of another tool; files: where its files usually are."""

    name: str
    table: str
    read: Callable[[Connection, Relation, Path | None], History]
    lock: Callable[[Connection, Relation], Lock]
    folders: tuple[str, ...]
    schema: str = ""
    script: Callable[[Path, str], str | None] | None = None


_OF_FLYWAY = ("src/main/resources/db/migration", "db/migration", "sql")
TOOLS = (
    Tool(
        "prisma", prisma.TABLE, prisma.history, prisma.lock, ("prisma/migrations", "migrations"), script=prisma.script
    ),
    Tool("alembic", alembic.TABLE, alembic.history, alembic.lock, ("alembic/versions", "migrations/versions")),
    Tool("django", django.TABLE, django.history, django.lock, (".",)),
    Tool("flyway", flyway.TABLE, flyway.history, flyway.lock, _OF_FLYWAY, script=flyway.script),
    Tool(
        "supabase",
        supabase.TABLE,
        supabase.history,
        supabase.lock,
        ("supabase/migrations",),
        schema=supabase.SCHEMA,
        script=supabase.script,
    ),
    Tool(
        "plain",
        plain.TABLE,
        plain.history,
        plain.lock,
        ("db/migrations", "db/migrate", "migrations"),
        script=plain.script,
    ),
)


def histories(connection: Connection, folder: Path | None) -> tuple[list[tuple[Tool, History]], list[str]]:
    """All histories of a database, and what has the name of one and is none. folder: of the files, or of the project.

    Raises BadUsage when the folder is none, NotAllowed where a history may not be read.
    """
    if folder is not None and not folder.is_dir():
        raise BadUsage(f"{folder} is no directory", "name the one with the migrations, or the project's")
    found, odd = [], []
    for tool, table in _tables(connection):
        try:
            found.append((tool, tool.read(connection, table, _folder(tool, folder))))
        except Odd as error:
            odd.append(str(error))
    return found, odd


def check_quiet(connection: Connection, found: Sequence[tuple[Tool, History]]) -> None:
    """See that no deployment of any tool runs, nor one under guard. Raises Refused."""
    tables = [(tool, relation_named(one.table)) for tool, one in found]
    check_nobody_migrates(connection, [(tool.lock(connection, table), table) for tool, table in tables])
    running = [each for _, one in found for each in one.of(State.RUNNING)]
    if running:
        raise Refused(f"{in_one_line(running[0].name)} runs just now", "tabsync migration status")


def _tables(connection: Connection) -> Iterator[tuple[Tool, Relation]]:
    for tool in TOOLS:
        for table in places(connection, tool.table):
            special = {one.schema for one in TOOLS if one.table == tool.table and one.schema}
            if table.schema == tool.schema if tool.schema else table.schema not in special:
                yield tool, table


def _folder(tool: Tool, given: Path | None) -> Path | None:
    """The files of a tool: below a project where it usually has them, else the folder itself."""
    if given is None:
        return None
    return next((given / one for one in tool.folders if (given / one).is_dir()), given)
