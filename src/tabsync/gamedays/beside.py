"""Where a migration can't be undone: its backup is restored beside, rows are brought over, the application switches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tabsync.gamedays.answers import Answer, done, skip
from tabsync.gamedays.deploying import Project, url_of
from tabsync.kernel.errors import FailedPartway

if TYPE_CHECKING:
    import psycopg

    from tabsync.kernel.gameday import Played
    from tabsync.kernel.step import Facts

ROWS = 3
"""The tables that a restaurant sets up after the migration has failed."""

_APP = "shop"
_SWITCH = ["sh", "-c", 'printf %s "$DATABASE_URL" > application.url']
CONFIGURATION = (f'app.{_APP} = {{ kind = "command", switch = {json.dumps(_SWITCH)} }}',)
_FROM = 900  # the number of the first of them


def work(project: Project) -> None:
    """People go on: rows are written after the migration has failed."""
    with project.ground.enter() as session:
        session.execute(
            "insert into dining_tables (restaurant_id, number, seats)"
            " select id, %s + n, 4 from (select id from restaurants order by id limit 1) r, generate_series(1, %s) n",
            [_FROM, ROWS],
        )


def written(session: psycopg.Connection[tuple[object, ...]]) -> object:
    """How many of these rows a database has."""
    row = session.execute("select count(*) from dining_tables where number > %s", [_FROM]).fetchone()
    return row[0] if row else 0


def prices(project: Project) -> list[int]:
    """Those of the menu, in its order."""
    with project.connect() as session:
        return [int(str(row[0])) for row in session.execute("select price_cents from menu_items order by id")]


def restored(project: Project, played: Played) -> Mapping[str, Answer]:
    """Rows were changed, and nobody knows what they were: the backup has them."""
    backup = project.backup()

    def compared(_run: Facts) -> Sequence[str]:
        return "--set", f"restored={_restored_as(project)}", "--set", f"live={project.database}"

    def switched(run: Facts) -> Sequence[str]:
        new = _restored_as(project)
        _bring_over(project, played, run, new)
        _switch(project, new)
        _must(project, "backup", "take", "full")  # of the new one there is none
        return done("the rows are brought over, and the application is switched")

    return {
        "take away what it has left": _refused(played, "can't be undone: line 2", "rows were changed"),
        "Note it as rolled back": _refused(played, "can't be noted as rolled back", "it is not: rows were changed"),
        "restore the backup": lambda _: ("--set", f"backup={backup}"),
        "what was written since": compared,
        "and switch": switched,
    }


def _refused(played: Played, expected: str, why: str) -> Answer:
    """The program has refused a step, with these words; it is left out then."""

    def answer(run: Facts) -> Sequence[str]:
        said = str(run["at"]["fact"])
        if expected not in said:
            played.wrong.append(f"step {run['at']['number']} was to be refused: {said}")
        return skip(why)

    return answer


def _restored_as(project: Project) -> str:
    """The database that was restored, as the step before has said it."""
    with project.connect() as session:
        asked = "select datname from pg_database where datname <> %s and datname like %s order by oid desc limit 1"
        row = session.execute(asked, [project.database, f"{project.database}%"]).fetchone()
    return str(row[0]) if row else ""


def _bring_over(project: Project, played: Played, run: Facts, new: str) -> None:
    """Write the rows that people have written since into the restored database."""
    compared = next(one for one in run["steps"] if one["number"] == run["at"]["number"] - 1)
    if "dining_tables" not in json.dumps(compared["facts"]):
        played.wrong.append("restore diff did not name the table that rows were written into")
    words = ("--table", "dining_tables", "--where", f"number > {_FROM}", "--from", project.database)
    _must(project, "restore", "rows", *words, "--database", project.conninfo(new), "--yes")


def _switch(project: Project, new: str) -> None:
    """Give the application the new database, and name it in our own configuration."""
    file = project.ground.config.parent / "new-database.url"
    file.touch(mode=0o600)
    file.write_text(url_of(project.ground, new), encoding="utf-8")
    _must(project, "app", "switch-database", _APP, "--to-file", str(file), "--yes")
    project.switch(new)


def _must(project: Project, *words: str) -> None:
    ran = project.command(*words)
    if ran.returncode:
        raise FailedPartway(
            f"tabsync {' '.join(words[:2])} ended with {ran.returncode}: {ran.stderr.strip()[-300:]}", ""
        )
