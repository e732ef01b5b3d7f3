"""A history from its begin to its end, with both asked after each event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.unit.schedule.histories import History
from tests.unit.schedule.naive import Thing, between, fate
from tests.unit.schedule.world import NAME, World


@dataclass(slots=True)
class Figures:
    """What there was to compare."""

    occurrences: int = 0
    compared: int = 0
    starts: int = 0
    catch_ups: int = 0
    tries: int = 0


def lived(history: History) -> Figures:
    """Live through a history; raises AssertionError where the product and the model disagree, or something stops."""
    world = World(history.begin, history.zone, history.lives)
    world.edit(history.manual)
    told = Figures(compared=world.compare())
    for kind, *rest in history.events:
        _happen(world, str(kind), rest)
        told.compared += world.compare()
    _goes_on(world, history.after)
    told.occurrences = world.compare()
    told.compared += told.occurrences
    told.starts = len(world.started)
    told.catch_ups = sum(begin.late and not begin.again for _, begin in world.started)
    told.tries = sum(begin.again for _, begin in world.started)
    return told


def _happen(world: World, kind: str, rest: list[Any]) -> None:
    things = world.past.editions[-1].things
    thing = things[rest[0] % len(things)] if rest and isinstance(rest[0], int) else things[0]
    if kind == "pass":
        world.let_pass(rest[0])
    elif kind == "jump":
        world.set_clock(world.ahead + rest[0])
    elif kind == "return":
        world.set_clock(0)
    elif kind in ("off", "power"):
        world.stop(power=kind == "power")
    elif kind == "on":
        world.start()
    elif kind == "kill":
        world.kill()
    elif kind == "edit":
        world.edit(rest[0])
    elif kind == "approve":
        world.approve(thing.key)
    elif kind == "hand":
        if not thing.task:
            world.leave(thing.key, rest[1])
        world.look()
    elif kind in ("skip", "tick"):
        _marked(world, kind, thing, rest[1])


def _marked(world: World, kind: str, thing: Thing, which: int) -> None:
    """Something is said of the newest occurrences of an item, or of the next one."""
    near = [due for one, due in world.past.occurrences(0, world.clock + 1) if one.key == thing.key][-2:]
    near += between(thing.rule, world.clock + 1, world.clock + 8 * 86_400)[:1]
    if near and kind == "skip":
        world.skip(thing.key, near[which % len(near)])
    elif near and thing.task:
        world.tick(thing.key, near[which % len(near)])
    world.look()


def _goes_on(world: World, seconds: int) -> None:
    """From now on all is well: what becomes due in real time is started, whatever there was before."""
    world.set_clock(0)
    world.start()
    world.lives = [("done", 5)]
    while world.running or world.ended:
        world.let_pass(61)  # there are only so many places
    since = world.real
    world.let_pass(seconds)
    seen = {(begin.key, begin.due) for _, begin in world.started}
    wanted = world.past.occurrences(since + 1, world.real + 1)
    before = {one.key for edition in world.past.editions[:-1] for one in edition.things}
    for thing in world.past.editions[-1].things:
        dues = [(one, due) for one, due in wanted if one.key == thing.key]  # each as its own edition has it
        if thing.key not in before:  # whatever the clock said when it came into the manual
            dues += [(thing, due) for due in between(thing.rule, since + 1, world.real + 1)]
        for one, due in dues:
            if thing.task or (thing.key, due) in seen or thing.on not in ("", NAME):
                continue  # what an edit of a clock that was ahead gave to another host is that one's already
            state = fate(world.past, one, due, None, world.real, name=NAME, silent=False).state
            allowed = ("skipped", "not built", "not on this host", "unknown", "waits for approval", "done")
            assert state in allowed, f"{thing.key}, due {due}, was never started: {state}"
