"""Django: `django_migrations`, and a folder `migrations` in each app. It notes no digest, and no failure.

https://docs.djangoproject.com/en/stable/topics/migrations/
"""

from __future__ import annotations

from pathlib import Path

from tabsync.migrations.histories.history import File, History, Migration, State, with_files
from tabsync.migrations.histories.table import read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "django_migrations"
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
    apps = {one.name.partition(".")[0] for one in there}
    mine = [one for one in noted if one.name.partition(".")[0] in apps]
    others = [one for one in noted if one not in mine]  # of packages, whose folders are elsewhere
    found = (*others, *with_files(mine, there, None))
    return History("Django", str(table), found, str(folder), _UNKNOWN)


def files(folder: Path) -> list[File]:
    """The migrations of all apps below a folder: a module whose name begins with a digit."""
    found = []
    for path in sorted(folder.rglob("migrations/[0-9]*.py")):
        found.append(File(f"{path.parent.parent.name}.{path.stem}", (path.parent.parent.name, path.stem)))
    return found
