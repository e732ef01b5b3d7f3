"""What of a migration is there: each of its statements against the catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.rows import dict_row

from tabsync.kernel.step import Facts
from tabsync.migrations.changes.change import ABOUT, Change, Thing
from tabsync.migrations.changes.judging import Found, Judge
from tabsync.migrations.changes.looks import Look
from tabsync.migrations.changes.placing import Named, names, placed
from tabsync.migrations.changes.statement import change
from tabsync.migrations.histories.script import Statement, statements
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "there.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement, and what of it is there. why: it can't be told, or is only partly there.

    left: something of it may be left; before: what is there may have been there before the migration; present: all that
    it makes is there just now; change: what the statement changes, with the schemas in which its names are.
    """

    statement: Statement
    found: Found
    why: str
    left: bool
    before: bool
    present: bool
    change: Change

    def to_json(self) -> Facts:
        """For programs."""
        return {
            "line": self.statement.line,
            "statement": self.statement.text,
            "found": self.found.value,
            "why": self.why,
            "may_have_been_before": self.before,
        }


def search_path(workspace: Workspace) -> list[str]:
    """The schemas in which the application's names are looked for."""
    with connect(workspace.conninfo, "migrations", as_application=True, limits=_LIMITS) as connection:
        row = connection.execute(_SQL["path"]).fetchone()
    return list(row[0]) if row else []


def what_is_there(connection: Connection, script: str, path: Sequence[str]) -> list[Seen]:
    """Each statement of a script against the catalog. path: the schemas of names without one.

    A statement that changes no catalog, or isn't understood, can't be told. But where one before it is absent, nothing
    after that one was ever done, or all of it was rolled back.
    """
    every = statements(script)
    changes = changes_of(connection, every, path)
    things = list(
        dict.fromkeys(effect.thing for one in changes for effect in one.effects if effect.thing.kind != ABOUT)
    )
    verdicts = Judge(changes, looked_up(connection, things), tuple(path)).verdicts()
    return [
        Seen(statement, verdict.found, verdict.why, verdict.left, verdict.before, verdict.present, one)
        for statement, one, verdict in zip(every, changes, verdicts, strict=True)
    ]


def left_of(seen: Sequence[Seen]) -> str:
    """What of a migration may be left, in words; "" when the catalog proves that nothing is."""
    return _others(seen, [one for one in seen if one.left])


def lacking_of(seen: Sequence[Seen]) -> str:
    """What of a migration may not be done, in words; "" when the catalog proves that all is."""
    return _others(seen, [one for one in seen if one.found not in (Found.THERE, Found.NOTHING)])


def _others(seen: Sequence[Seen], those: Sequence[Seen]) -> str:
    counts = Counter(one.found for one in those)
    others = [f"{count} {found.value}" for found, count in sorted(counts.items())]
    return f"of its {len(seen)} statements are {', '.join(others)}" if others else ""


def changes_of(connection: Connection, every: Sequence[Statement], path: Sequence[str]) -> list[Change]:
    """What statements change, with the schemas in which their names are."""
    changes = [change(one) for one in every]
    wanted = sorted(names(changes))
    there: dict[Named, list[str]] = {}
    values = {"catalogs": [one[0] for one in wanted], "names": [one[1] for one in wanted]}
    for catalog, name, schema in connection.execute(_SQL["places"], values).fetchall() if wanted else ():
        there.setdefault((catalog, name), []).append(schema)
    return placed(changes, there, path)


def looked_up(connection: Connection, things: Sequence[Thing]) -> dict[Thing, Look]:
    """What the catalog says of each."""
    values = {
        "kinds": [one.kind for one in things],
        "schemas": [one.schema for one in things],
        "names": [one.name for one in things],
        "parts": [one.part for one in things],
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL["there"], values).fetchall()
    return {thing: Look(one["there"], one["whole"], one["value"]) for thing, one in zip(things, found, strict=True)}
