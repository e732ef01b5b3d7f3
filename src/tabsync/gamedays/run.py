"""Plays a game day, and keeps what came of it as evidence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.gamedays import connections, failed_migration
from tabsync.gamedays.faster import faster
from tabsync.gamedays.ground import Ground, copy_ground, ground, proven
from tabsync.gamedays.incident import close_incident
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import BadUsage, Exit, Refused, words_of
from tabsync.kernel.gameday import GameDay, Part, Played, Say
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.procedure import named
from tabsync.kernel.units import human_seconds
from tabsync.ledger.evidence import NO_DATABASE, add_evidence, evidence_since
from tabsync.procedures import game_days_in_use

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

KIND = "gameday"
_OWN = "it needs a server of its own"
_TIMES = ("Told after", "Named after", "Recovered after")
_OURS: tuple[GameDay[Ground], ...] = (connections.GAME_DAY, failed_migration.GAME_DAY)


def game_days() -> tuple[GameDay[Ground], ...]:
    """Those of any database, and those that the profile in use brings. Raises BadUsage for one that can't be loaded."""
    return (*_OURS, *(_brought(one) for one in game_days_in_use()))


def _brought(name: str) -> GameDay[Ground]:
    try:
        found: GameDay[Ground] = named(name)
    except Exception as error:  # whatever a package of somebody else does when it is imported
        raise BadUsage(
            f"the game day {name} can't be loaded: {words_of(error)}", "tell whoever wrote the profile"
        ) from error
    return found


def game_day_named(name: str) -> GameDay[Ground]:
    """A game day. Raises BadUsage when there is none of that name."""
    found = next((one for one in game_days() if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in game_days())
        raise BadUsage(f"there is no game day {name!r}", f"there are: {names}")
    return found


def play(workspace: Workspace, one: GameDay[Ground], say: Say, *, real_time: bool, place: Path, copy: str = "") -> Page:
    """Play each of its conditions on a ground of its own; gives the page, with its evidence on record.

    place: a directory in which the ground is made; real_time: with the times of the manual, which takes many minutes;
    copy: instead of a server of its own, the connection string of a database that carries the mark. Raises Refused and
    NotAllowed, before anything is changed, where it does not.
    """
    began = now()
    if copy and not one.metric:
        raise Refused(f"{one.name} needs a server of its own", f"tabsync gameday run {one.name}")
    if copy:
        proven(copy)
    found: list[tuple[str, str, Played]] = []
    for part in one.parts:
        say(part.title)
        if missing := _OWN if copy and part.pooled else part.needs():
            found.append((part.name, part.title, Played(missing=missing)))
            continue
        with _ground(place, partial(_manual, one, part, real_time), say, one, part, copy) as there:
            played = part.play(there, real_time, say)
            if played.ok:
                say("Closing its incident")
                close_incident(there, played, played.cause or part.title, *_must_tell(one, played))
            found.append((part.name, part.title, played))
    ok = all(played.ok for _, _, played in found)
    facts: Facts = {
        "game_day": one.name,
        "runbook": one.runbook,
        "real_time": real_time,
        "on": "a copy" if copy else "a server of its own",
        "began": iso(began),
        "parts": [{"part": name, "title": title, **played.to_json()} for name, title, played in found],
    }
    add_evidence(workspace.ledger(), KIND, NO_DATABASE, ok=ok, facts=facts)
    return page_of(one, facts, ok=ok)


def _must_tell(one: GameDay[Ground], played: Played) -> tuple[str, ...]:
    """What the post-mortem of a condition can't be without: who was told of what, and what was run."""
    alert = (one.metric,) if one.metric and played.detect is not None else ()
    return (one.runbook, "step 1", *alert)


def _ground(
    place: Path, manual: Callable[[str], str], say: Say, one: GameDay[Ground], part: Part[Ground], copy: str
) -> AbstractContextManager[Ground]:
    if copy:
        return copy_ground(place, manual, say, copy)
    return ground(place, manual, say, pooled=part.pooled, watched=bool(one.metric))


def _manual(one: GameDay[Ground], part: Part[Ground], real_time: bool, text: str) -> str:
    """The manual of a condition."""
    return part.manual(text if real_time or not one.metric else faster(text, one.metric, one.changes))


def page_of(one: GameDay[Ground], facts: Facts, *, ok: bool) -> Page:
    """What came of a game day."""
    page = Page("gameday", facts | {"ok": ok})
    page.line(
        (f"{'PASSED' if ok else 'FAILED'}", "strong good" if ok else "strong bad"),
        f": {one.title}, {facts['began'][:10]}",
    )
    rows = [_row(part) for part in facts["parts"]]
    page.table(("Condition", "", "Told after", "Named after", "Recovered after"), rows, right=_TIMES)
    for part in facts["parts"]:
        if part["cause"]:
            page.line(f"{part['title']}: {part['cause']}", style="quiet")
        if part["missing"]:
            page.line((f"{part['title']}: not played: {part['missing']}", "warning"))
        for wrong in part["wrong"]:
            page.line((f"{part['title']}: {wrong}", "bad"))
    page.line(f"On {facts['on']}. Runbook: {one.runbook}{_how(one, facts)}.", style="quiet")
    page.exit_code = Exit.DONE if ok else Exit.PROBLEM_FOUND
    return page


def _how(one: GameDay[Ground], facts: Facts) -> str:
    """With which times, and which tool."""
    if one.metric:
        return "; the times of the manual" if facts["real_time"] else "; its times made shorter"
    tools = list(dict.fromkeys(part["tool"] for part in facts["parts"] if "tool" in part))
    return f"; migrated by {', '.join(tools)}" if tools else ""


def look_list(workspace: Workspace) -> Page:
    """The game days, and what came of each the last time."""
    rows: list[tuple[Cell, ...]] = []
    told: list[Facts] = []
    kept = evidence_since(workspace.ledger(), KIND)
    for one in game_days():
        last = next((each for each in kept if each["facts"].get("game_day") == one.name), None)
        told.append({"name": one.name, "title": one.title, "runbook": one.runbook, "last": last})
        when: Cell = ("never", "warning") if last is None else f"{parse_iso(last['at']):%Y-%m-%d}"
        came: Cell = "" if last is None else ("passed", "good") if last["ok"] else ("failed", "bad")
        rows.append((one.name, one.title, one.runbook, when, came))
    page = Page("gameday list", {"game_days": told})
    page.table(("Game day", "Condition", "Runbook", "Last played", ""), rows)
    page.hint("to play one: tabsync gameday run NAME")
    return page


def _row(part: Facts) -> tuple[Cell, ...]:
    verdict: Cell = ("passed", "good") if part["ok"] else ("failed", "bad")
    if part["missing"]:
        verdict = ("not played", "warning")
    return part["title"], verdict, *(_time(part[name]) for name in ("detect", "diagnose", "recover"))


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else human_seconds(seconds)
