"""Django: `django_migrations`, and a folder `migrations` in each app. It notes no digest, and no failure.

https://docs.djangoproject.com/en/stable/topics/migrations/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tabsync.migrations.histories.files import below
from tabsync.migrations.histories.history import File, History, Migration, State, with_files
from tabsync.migrations.histories.lock import Lock
from tabsync.migrations.histories.table import read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "django_migrations"
_CLASS = re.compile(rb"^class Migration\b", re.MULTILINE)
_UNKNOWN = (
    "whether a file was edited: Django notes no digest",
    "whether one failed: Django notes nothing of it",
)


def history(connection: Connection, table: Relation, folder: Path | None) -> History:
    """What it has noted, as app.name. folder: the project, or one app's. Raises Odd, NotAllowed."""
    noted = [
        Migration(f"{row['app']}.{row['name']}", State.APPLIED, finished=row["applied"])
        for row in read(connection, table, ("app", "name", "applied"), "applied")
    ]
    if folder is None:
        return History("Django", str(table), tuple(noted), unknown=_UNKNOWN)
    there = files(folder)
    squashes = {_name(path): replaced for path in _modules(folder) if (replaced := _replaces(path))}
    names, apps = {one.name for one in noted}, {one.name.partition(".")[0] for one in there}
    # Whose file is not to be missed: packages have theirs elsewhere, and one that is squashed into another may be gone.
    elsewhere = {one for replaced in squashes.values() for one in replaced} - {one.name for one in there}
    elsewhere |= {one for one in names if one.partition(".")[0] not in apps}
    done = [Migration(one, State.APPLIED) for one, replaced in squashes.items() if names.issuperset(replaced)]
    mine = [one for one in noted if one.name not in elsewhere] + [one for one in done if one.name not in names]
    found = (*(one for one in noted if one.name in elsewhere), *with_files(mine, there, None))
    return History("Django", str(table), found, str(folder), _UNKNOWN)


def files(folder: Path) -> list[File]:
    """The migrations of all apps below a folder: what Django's loader takes for one, and holds a Migration."""
    return [File(_name(path), (path.parent.parent.name, path.stem)) for path in _modules(folder)]


def lock(_connection: Connection, _table: Relation) -> Lock:
    """None: two deployments at once both begin."""
    return Lock("Django")


def _modules(folder: Path) -> Iterator[Path]:
    for path in below(folder, ".py"):
        if path.parent.name == "migrations" and path.name[0] not in "_~" and _CLASS.search(path.read_bytes()):
            yield path


def _name(path: Path) -> str:
    return f"{path.parent.parent.name}.{path.stem}"


def _replaces(path: Path) -> list[str]:
    """The migrations that a squashed one stands for: with all of them applied, it is. The file is read and not run.

    https://docs.djangoproject.com/en/stable/topics/migrations/#migration-squashing
    """
    content = path.read_bytes()
    if b"replaces" not in content:
        return []
    try:
        body = [line for one in ast.parse(content).body if isinstance(one, ast.ClassDef) for line in one.body]
        values = [
            one.value for one in body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "replaces"
        ]
        return [f"{app}.{name}" for value in values for app, name in ast.literal_eval(value)]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return []
