"""The game day "failed-migration": a deployment fails in the middle, and somebody goes through the runbook for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tabsync.demo.place import DATABASE
from tabsync.gamedays import beside
from tabsync.gamedays.answers import Answer, done, go_through, skip
from tabsync.gamedays.deploying import Deployed, Project, Tool, plain_tool
from tabsync.gamedays.ground import Ground
from tabsync.kernel.gameday import GameDay, Part, Played, Say
from tabsync.kernel.step import Facts

RUNBOOK = "Schema migration failed"
NAME = "20260302000000_menu"
_FIRST = ("20260301000000_first", "alter table menu_items add column vegan boolean;\n")
_BEFORE = (
    "alter table menu_items add column spice smallint",
    "create index menu_items_spice on menu_items (spice)",
    "create table menu_notes (id int primary key, item bigint references menu_items, said text)",
)
_CHANGES = "update menu_items set price_cents = price_cents + 1"
_FAILS = "alter table menu_items add constraint menu_items_cheap check (price_cents < 0)"
_MENDED = "alter table menu_items add constraint menu_items_cheap check (price_cents < 1000000)"
_AFTER = ("alter table menu_items add column heat smallint", "create table menu_seasons (id int primary key)")


@dataclass(frozen=True, slots=True)
class Story:
    """One way in which it goes. before: what comes before the statement that fails; left: how many of it are there.

    answers: what is done at the steps that are not the same each time; whole: it is one transaction; raised: by how
    much each price is higher in the end.
    """

    before: tuple[str, ...]
    left: int
    answers: Callable[[Project, Played], Mapping[str, Answer]]
    whole: bool = False
    raised: int = 0

    def text(self, fourth: str) -> str:
        """The migration, with one statement or another as its fourth."""
        statements = (*self.before, fourth, *_AFTER)
        return "".join(f"{one};\n" for one in (("begin", *statements, "commit") if self.whole else statements))


def play(story: Story, ground: Ground, say: Say, tool: Callable[[Ground], Tool] = plain_tool) -> Played:
    """Deploy, see it fail, go on working, go through the runbook, and see what is there then."""
    played = Played()
    project = _project(ground, tool(ground))
    played.facts["tool"] = project.tool.name
    project.write(NAME, story.text(_FAILS))
    prices = beside.prices(project)
    say("Deploying a migration under guard, whose fourth statement fails")
    failed = project.guard()
    _detected(played, project, failed)
    if played.wrong:
        return played
    beside.work(project)
    say(f"The guard said so; going through the runbook {RUNBOOK!r}")
    _named(played, project, story, failed)
    answers = {**_common(project, played, story), **story.answers(project, played)}
    go_through(ground, played, RUNBOOK, {"migration": NAME}, answers)
    if not played.wrong:
        played.recover = time.monotonic() - failed.ended
        _check(project, played)
        if beside.prices(project) != [one + story.raised for one in prices]:
            played.wrong.append("the prices are not what they should be")
    return played


def _project(ground: Ground, tool: Tool) -> Project:
    """A project that has deployed its first migration, and whose checklist is gone through."""
    project = Project(ground, tool, DATABASE)
    project.configure('migrations.folder = "migrations"', *beside.CONFIGURATION)
    with project.connect() as owner:
        owner.execute("drop table schema_migrations")  # from here on the schema is the tool's
    project.write(*_FIRST)
    project.by_the_tool_alone()
    project.ticked()
    return project


def _detected(played: Played, project: Project, failed: Deployed) -> None:
    """The guard says that it failed, and which one; what the gate asks for is there and is recorded."""
    if failed.failed_at is None:
        played.wrong.append(f"the migration did not fail: exit code {failed.code}: {failed.fact}")
        return
    played.detect = failed.ended - failed.failed_at
    played.facts["exit"] = failed.code
    if failed.code != 1 or f"{NAME} has failed" not in failed.fact:
        played.wrong.append(f"the guard did not name it: exit code {failed.code}: {failed.fact}")
    _gate(played, project)


def _gate(played: Played, project: Project) -> None:
    """The evidence of the newest deployment has a backup, and its proof."""
    items = (project.evidence().get("gate") or {}).get("items", [])
    played.facts.setdefault("gates", []).append([one["evidence"] for one in items])
    for what in ("backup take full", "drill"):
        if not any(one["ok"] and what in (one["command"] or "") for one in items):
            played.wrong.append(f"the gate's evidence has no {what!r}")


def _named(played: Played, project: Project, story: Story, failed: Deployed) -> None:
    """What of it is there is said, statement by statement; and no other deployment begins."""
    ran = project.command("migration", "status", "--json")
    played.diagnose = time.monotonic() - failed.ended
    said: Facts = json.loads(ran.stdout or "{}")
    left = sum(one["found"] == "there" for one in said.get("failed", {}).get(NAME, []))
    played.cause = f"{NAME} has failed; {left} of its statements are there"
    if said.get("migration") != NAME or left != story.left:
        told = f"{left} of {said.get('migration')}"
        played.wrong.append(f"{story.left} statements of {NAME} are there, and status says {told}")
    again = project.guard()
    if again.code != 4:
        played.wrong.append(f"another deployment began beside it: exit code {again.code}")


def _common(project: Project, played: Played, story: Story) -> Mapping[str, Answer]:
    """What a person does at the steps that are not the program's."""

    def fixed(_step: Facts) -> tuple[str, ...]:
        project.write(NAME, story.text(_MENDED))
        return done("its fourth statement was wrong")

    def rehearsed(_step: Facts) -> tuple[str, ...]:
        ran = project.command("migration", "rehearse", "--json", "--", *project.tool.command)
        if ran.returncode:
            played.wrong.append(f"the rehearsal ended with {ran.returncode}: {ran.stderr.strip()[-300:]}")
        return done("rehearsed on a copy")

    def deployed(_step: Facts) -> tuple[str, ...]:
        project.ticked()
        again = project.guard()
        if again.code != 0:
            played.wrong.append(f"the second deployment ended with {again.code}: {again.fact}")
        return done("deployed under guard")

    return {
        "Run no other migration": lambda _: done("everybody was told"),
        "fix the migration": fixed,
        "Rehearse it": rehearsed,
        "Deploy it again": deployed,
    }


def _noted(_project: Project, _played: Played) -> Mapping[str, Answer]:
    """Nothing of it is there: there is nothing to undo, and nothing to restore."""
    return {"take away what it has left": lambda _: skip("nothing of it is there"), **_NOT_RESTORED}


def _undone(_project: Project, _played: Played) -> Mapping[str, Answer]:
    """Half of it is there, and every statement of it has an inverse."""
    return _NOT_RESTORED


_NOT_RESTORED: Mapping[str, Answer] = {
    words: lambda _: skip("not needed") for words in ("restore the backup", "what was written since", "and switch")
}


def _check(project: Project, played: Played) -> None:
    """The rows are there, the tool's history is clean, status has nothing to say, and the gate was kept again."""
    with project.connect() as owner:
        count = beside.written(owner)
        if count != beside.ROWS:
            played.wrong.append(f"{beside.ROWS} rows were written after it failed, and {count} are there")
        states = "select migration_name, finished_at is not null from _prisma_migrations where rolled_back_at is null"
        found = sorted(owner.execute(states).fetchall())
    if not all(ended for _, ended in found) or not {_FIRST[0], NAME} <= {str(name) for name, _ in found}:
        played.wrong.append(f"the tool's history is not clean: {found}")
    status = project.command("migration", "status")
    if status.returncode:
        played.wrong.append(f"migration status ends with {status.returncode}: {status.stdout[:200]}")
    project.by_the_tool_alone()  # it finds nothing to do
    _gate(played, project)


NOTED = Story(_BEFORE, 0, _noted, whole=True)
UNDONE = Story(_BEFORE, len(_BEFORE), _undone)
RESTORED = Story((_BEFORE[0], _CHANGES, _BEFORE[1]), 2, beside.restored, raised=1)


def _part(name: str, title: str, story: Story) -> Part[Ground]:
    return Part(name, title, lambda ground, _real_time, say: play(story, ground, say))


GAME_DAY = GameDay(
    "failed-migration",
    "A migration has failed",
    RUNBOOK,
    "",
    (
        _part("noted", "Nothing of it is left", NOTED),
        _part("undone", "Half of it is left", UNDONE),
        _part("restored", "It has changed rows", RESTORED),
    ),
)
