"""Alembic: `alembic_version` has the newest revision of each branch, the files have what each follows on.

The files are read and not run. https://alembic.sqlalchemy.org/en/latest/tutorial.html#partial-revision-identifiers
"""

from __future__ import annotations

import ast
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tabsync.migrations.histories.files import below
from tabsync.migrations.histories.history import History, Migration, State
from tabsync.migrations.histories.lock import Lock
from tabsync.migrations.histories.table import read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "alembic_version"
_UNKNOWN = (
    "whether a file was edited: Alembic notes no digest",
    "whether one failed: Alembic notes nothing of it",
)


def history(connection: Connection, table: Relation, folder: Path | None) -> History:
    """What is applied: the noted revisions, and all that they follow on. Raises Odd, NotAllowed."""
    heads = [row["version_num"] for row in read(connection, table, ("version_num",), "version_num")]
    if folder is None:
        found = tuple(Migration(one, State.APPLIED) for one in heads)
        before = "what came before: Alembic notes the newest one only"
        return History("Alembic", str(table), found, unknown=(before, *_UNKNOWN))
    follows = revisions(folder)
    applied: set[str] = set()
    waiting = list(heads)
    while waiting:
        one = waiting.pop()
        if one not in applied:
            applied.add(one)
            waiting += follows.get(one, ())
    names = [*follows, *(one for one in heads if one not in follows)]
    found = tuple(
        Migration(one, State.APPLIED if one in applied else State.PENDING, in_folder=one in follows) for one in names
    )
    return History("Alembic", str(table), found, str(folder), _UNKNOWN)


def revisions(folder: Path) -> dict[str, tuple[str, ...]]:
    """Each revision in a folder, with those that it follows on or depends on; the first ones first."""
    found: dict[str, tuple[str, ...]] = {}
    for path in below(folder, ".py"):
        said = _assigned(path)
        revision = said.get("revision")
        if isinstance(revision, str):
            found[revision] = (*_names(said.get("down_revision")), *_names(said.get("depends_on")))
    return {one: found[one] for one in _in_order(found)} | found  # what goes in a circle comes last


def _in_order(found: dict[str, tuple[str, ...]]) -> list[str]:
    """The revisions that can be ordered, each after those that it follows on."""
    graph = TopologicalSorter({one: [other for other in others if other in found] for one, others in found.items()})
    with suppress(CycleError):
        graph.prepare()
    ordered: list[str] = []
    while graph.is_active() and (ready := graph.get_ready()):
        ordered += sorted(ready)
        graph.done(*ready)
    return ordered


def _assigned(path: Path) -> dict[str, object]:
    """The constants that a module assigns to names at its top."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, object] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                try:
                    found[target.id] = ast.literal_eval(value)
                except (ValueError, TypeError, MemoryError, RecursionError):
                    continue
    return found


def lock(_connection: Connection, _table: Relation) -> Lock:
    """None: two deployments at once both begin."""
    return Lock("Alembic")


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, tuple | list) else ()
