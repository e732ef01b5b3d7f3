"""Who is told and when, beside a model that was written apart: minute by minute, with whatever may happen meanwhile."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tabsync.manual.people import Contact, Hours, parse_hours
from tabsync.monitoring.alerts.episode import Episode, Key, State, inhibited
from tabsync.monitoring.notify.who import END, PATIENCE, REMIND, RISEN, START, Due, Told, due_messages

BEGIN = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)  # a Tuesday
MINUTE = timedelta(minutes=1)
_HOURS = ("24/7", "On-call", "09:00-18:00 UTC", "18:00-09:00 UTC", "Sat-Sun")


@dataclass
class World:
    """What happens: when it rises, is acknowledged, is withheld, ends (minutes), and whose channel takes nothing."""

    contacts: tuple[Contact, ...]
    level: str
    rises: int
    acked: int
    quiet: tuple[int, int]
    ends: int
    broken: frozenset[str]
    told: list[Told] = field(default_factory=list)
    made: list[tuple[int, str, str]] = field(default_factory=list)

    def episode(self, minute: int) -> Episode:
        rose = self.level == "warning" and minute >= self.rises
        level = "critical" if rose or self.level == "critical" else "warning"
        facts = {"rose": (BEGIN + self.rises * MINUTE).isoformat()} if rose else {}
        state = State.ENDED if minute >= self.ends else State.FIRING
        return Episode(
            "e",
            "s",
            Key("threshold", "M"),
            state,
            level,  # type: ignore[arg-type]
            BEGIN,
            BEGIN,
            BEGIN,
            BEGIN + self.ends * MINUTE if state is State.ENDED else None,
            BEGIN + self.acked * MINUTE if minute >= self.acked else None,
            facts=facts,
        )

    def is_quiet(self, minute: int) -> bool:
        return self.quiet[0] <= minute < self.quiet[1] and minute < self.ends

    def live(self, minute: int) -> list[Due]:
        """One minute, as the notifier does it."""
        moment, episode = BEGIN + minute * MINUTE, self.episode(minute)
        if not self.is_quiet(minute) and episode.is_open and not self.is_acked(minute):
            freed = [replace(one, state="waiting", created_at=moment) for one in self.told if one.state == "withheld"]
            self.told = [one for one in self.told if one.state != "withheld"] + freed
        found = due_messages(episode, self.told, self.contacts, moment, UTC)
        for one in found:
            if self.is_quiet(minute) and one.event.startswith("reminder"):
                continue
            state = "withheld" if self.is_quiet(minute) else "waiting"
            self.told.append(Told(one.contact.role, one.event, state, moment))
            self.made.append((minute, one.contact.role, one.event))
        self.told = [self._sent(one) for one in self.told]
        return found

    def _sent(self, one: Told) -> Told:
        if one.state != "waiting":
            return one
        return replace(one, failing=True) if one.contact in self.broken else replace(one, state="sent")

    def is_acked(self, minute: int) -> bool:
        """As a person would say: somebody has taken it, and it has not become worse since."""
        worse = self.level == "warning" and minute >= self.rises > self.acked
        return minute >= self.acked and not worse


def people() -> st.SearchStrategy[tuple[Contact, ...]]:
    one = st.builds(
        lambda order, after, told_of, by, hours: (order, after, told_of, by, parse_hours(hours)),
        st.integers(1, 3),
        st.none() | st.integers(0, 90).map(lambda minutes: timedelta(minutes=minutes)),
        st.sampled_from([(), ("critical",), ("warning",), ("critical", "warning")]),
        st.sampled_from(["mail", "mail", ""]),
        st.sampled_from(_HOURS),
    )
    return st.lists(one, min_size=1, max_size=4).map(
        lambda rows: tuple(
            Contact(
                role=f"R{number}",
                address="r@example.org",
                availability="",
                line=number,
                hours=hours,
                order=order,
                after=after,
                told_of=told_of,
                by=by,
            )
            for number, (order, after, told_of, by, hours) in enumerate(rows)
        )
    )


def worlds() -> st.SearchStrategy[World]:
    minutes = st.integers(0, 200)
    roles = st.frozensets(st.sampled_from(["R0", "R1", "R2", "R3"]), max_size=2)
    quiet = st.tuples(minutes, minutes) | st.just((0, 0))
    return st.builds(World, people(), st.sampled_from(["critical", "warning"]), minutes, minutes, quiet, minutes, roles)


def reachable(hours: Hours | None, moment: datetime) -> bool:
    return hours is None or hours.reachable(moment, UTC)


def expected(world: World, minute: int) -> set[str]:
    """The model: to whom it has to be said at this minute that it began, as one would tell it to a colleague."""
    episode, moment = world.episode(minute), BEGIN + minute * MINUTE
    if world.is_acked(minute) or (not episode.is_open and world.told):
        return set()
    concerned = [one for one in world.contacts if one.by and episode.level in one.told_of]
    knows = {one.contact for one in world.told if one.event in (START, RISEN)}
    awake = {one.role for one in concerned if reachable(one.hours, moment)}
    if not awake and episode.level == "critical":
        awake = {one.role for one in concerned if one.order == min(each.order for each in concerned)}
    line = [one for one in concerned if one.role in awake | knows]
    ranks = sorted({(one.order, one.hours == parse_hours("On-call")) for one in line})
    worse = world.level == "warning" and minute >= world.rises
    turn = BEGIN + world.rises * MINUTE if worse else BEGIN
    new: set[str] = set()
    for number, rank in enumerate(ranks):
        if number and turn > moment:
            break
        here = [one for one in line if (one.order, one.hours == parse_hours("On-call")) == rank]
        new |= {one.role for one in here} - knows
        if not episode.is_open:
            break  # it is over: the first ones hear of it, and that is enough
        last = {one.contact: one for one in world.told if one.event in (START, RISEN)}
        mine = [last[one.role] for one in here if one.role in last]
        if mine and {one.state for one in mine} == {"withheld"}:
            break
        if len(mine) == len(here) and all(one.failing for one in mine):
            continue  # nobody of them could be reached: the next, at once
        heard_at = max([turn, *(one.created_at for one in mine)])
        patience = [one.after for one in here if one.after is not None]
        if not patience and episode.level == "warning":
            break
        turn = heard_at + min(patience, default=PATIENCE)
    return new


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_it_is_as_the_model_says(world: World) -> None:
    for minute in range(0, 240, 3):
        wanted = expected(world, minute) if not world.is_quiet(minute) or world.told == [] else None
        found = {one.contact.role for one in world.live(minute) if one.event == START}
        if wanted is not None:
            assert found == wanted, minute
    told = [(who, event) for _, who, event in world.made]
    assert len(set(told)) == len(told)
    channel = {one.role for one in world.contacts if one.by and one.told_of}
    assert {who for who, _ in told} <= channel
    for minute, _, event in world.made:
        if event != END and minute < world.ends:
            assert not world.is_acked(minute)
    heard = {one.contact for one in world.told if one.event in (START, RISEN) and one.state != "withheld"}
    assert {who for who, event in told if event == END} == (heard if world.ends < 240 else set())
    for role in heard:
        at = [minute for minute, who, event in world.made if who == role and event.startswith("reminder")]
        assert all(b - a >= REMIND["critical"] / MINUTE for a, b in itertools.pairwise(at))


def contact(role: str, order: int = 1, hours: str = "24/7", after: int | None = None, level: str = "both") -> Contact:
    told_of = ("critical", "warning") if level == "both" else (level,)
    wait = None if after is None else timedelta(minutes=after)
    return Contact(
        role=role,
        address="a@example.org",
        availability=hours,
        line=1,
        hours=parse_hours(hours),
        order=order,
        after=wait,
        told_of=told_of,  # type: ignore[arg-type]
        by="mail",
    )


def lived(world: World, until: int) -> list[tuple[int, str, str]]:
    for minute in range(until):
        world.live(minute)
    return [one for one in world.made if not one[2].startswith("reminder")]


NEVER = 10_000


def test_what_was_acknowledged_as_a_warning_begins_anew_when_it_is_critical() -> None:
    people = (contact("Admin"), contact("Lead", 2, level="critical"))
    world = World(people, "warning", 60, 10, (0, 0), NEVER, frozenset())
    assert lived(world, 90) == [(0, "Admin", "start"), (60, "Admin", "critical"), (75, "Lead", "start")]


def test_who_comes_to_work_is_not_told_of_what_somebody_takes_care_of() -> None:
    people = (contact("Night"), contact("Day", hours="09:00-18:00 UTC"))
    assert lived(World(people, "critical", 0, 10, (0, 0), NEVER, frozenset()), 60) == [(0, "Night", "start")]
    assert (30, "Day", "start") in lived(World(people, "critical", 0, NEVER, (0, 0), NEVER, frozenset()), 60)


def test_who_goes_home_after_being_told_keeps_his_place() -> None:
    people = (contact("Night", hours="18:00-09:00 UTC", after=60), contact("Second", 2))
    assert lived(World(people, "critical", 0, NEVER, (0, 0), NEVER, frozenset()), 90) == [
        (0, "Night", "start"),
        (60, "Second", "start"),
    ]


def test_a_silence_wakes_nobody_at_its_end_but_the_first() -> None:
    people = (contact("Admin", after=10), contact("Lead", 2))
    world = World(people, "critical", 0, NEVER, (0, 120), NEVER, frozenset())
    for minute in range(180):
        world.live(minute)
    assert world.made[:2] == [(0, "Admin", "start"), (130, "Lead", "start")]


def test_a_channel_that_fails_has_the_next_told_at_once() -> None:
    people = (contact("Admin"), contact("Lead", 2), contact("Boss", 3))
    world = World(people, "warning", NEVER, NEVER, (0, 0), NEVER, frozenset({"Admin"}))
    assert lived(world, 60) == [(0, "Admin", "start"), (1, "Lead", "start")]


def test_what_began_and_ended_while_nobody_told_is_told() -> None:
    people = (contact("Admin"), contact("Lead", 2))
    world = World(people, "critical", 0, NEVER, (0, 0), 0, frozenset())
    assert lived(world, 60) == [(0, "Admin", "start"), (0, "Admin", "end")]
    late = World(people, "critical", 0, NEVER, (0, 0), 0, frozenset())
    assert late.live(2 * 24 * 60) == []


def test_what_ended_with_an_outage_is_not_told_after_it() -> None:
    def lasting(kind: str, begin: int, end: int) -> Episode:
        at, until = BEGIN + begin * MINUTE, BEGIN + end * MINUTE
        key = Key(kind, "M")  # type: ignore[arg-type]
        return Episode("e", "s", key, State.ENDED, "critical", at, until, at, until)

    down = lasting("down", 10, 20)
    assert inhibited(lasting("threshold", 11, 21), [down]) is down
    assert inhibited(lasting("threshold", 5, 21), [down]) is None
    assert inhibited(lasting("threshold", 11, 60), [down]) is None
