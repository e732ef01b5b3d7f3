"""What a pause is, in words: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from shlex import quote

from tabsync.kernel.clock import iso, local
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import parse_duration

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=7)
MOST_WAIT = timedelta(minutes=10)
LONGEST_REASON = 1_000
_AGAIN = timedelta(minutes=5)  # so long, the same words mean the same pause while it isn't drained
_TIMES = ("paused_at", "ends_at", "drained_at")
NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Restaurant:
    """A restaurant. id: as text."""

    id: str
    slug: str
    name: str

    def to_json(self) -> Facts:
        """As an argument of a step."""
        return asdict(self)

    @property
    def told(self) -> str:
        """For a sentence."""
        return f"{in_one_line(self.name)} ({in_one_line(self.slug)})"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that stands.

    restaurant_id: None for all; slug, name: None where the restaurant is gone; drained_at: since when it is known that
    no order of before is under way.
    """

    id: int
    restaurant_id: str | None
    slug: str | None
    name: str | None
    reason: str
    paused_by: str
    run_id: str | None
    paused_at: datetime
    ends_at: datetime
    drained_at: datetime | None = None

    @property
    def whom(self) -> str:
        """Which restaurants."""
        if self.restaurant_id is None:
            return "all restaurants"
        return in_one_line(self.slug or f"{self.restaurant_id}, which is gone")

    @property
    def until(self) -> str:
        """When it ends."""
        return local(iso(self.ends_at))

    def told(self) -> str:
        """It in one line."""
        return f"{self.whom} until {self.until}, by {in_one_line(self.paused_by)}: {in_one_line(self.reason)}"

    def to_json(self) -> Facts:
        """As a fact."""
        return asdict(self) | {name: (found := getattr(self, name)) and iso(found) for name in _TIMES}


def restaurant_of(arguments: Facts) -> Restaurant | None:
    """The restaurant that a step is about; None for all."""
    return Restaurant(**arguments["restaurant"]) if arguments["restaurant"] else None


def from_json(data: Facts) -> Pause:
    """The inverse of Pause.to_json."""
    return Pause(**data | {name: data[name] and datetime.fromisoformat(data[name]) for name in _TIMES})


def of_scope(pauses: Sequence[Pause], restaurant: Restaurant | None) -> list[Pause]:
    """The pauses of all restaurants, or of one by itself."""
    return [one for one in pauses if one.restaurant_id == (restaurant.id if restaurant else None)]


def reaching(pauses: Sequence[Pause], restaurant: Restaurant | None) -> list[Pause]:
    """The pauses that keep orders out: of all restaurants, and of one when it is asked for."""
    return [one for one in pauses if one.restaurant_id in (None, restaurant.id if restaurant else None)]


def alike(pauses: Sequence[Pause], span: timedelta, reason: str) -> list[Pause]:
    """The pauses that last as long, for the same reason."""
    return [one for one in pauses if one.reason == reason and one.ends_at - one.paused_at == span]


def to_wait_for(same: Sequence[Pause], who: str, now: datetime) -> Pause | None:
    """The pause that somebody has just made, and isn't drained yet: once more is no second one.

    now: on the database's clock.
    """
    mine = [one for one in same if one.run_id and one.paused_by == who and one.drained_at is None]
    return next((one for one in mine if now - one.paused_at < _AGAIN), None)


def command(words: str, restaurant: Restaurant | None) -> str:
    """A command for the same restaurants."""
    return f"tabsync orders {words}" + (f" --restaurant {quote(restaurant.slug)}" if restaurant else "")


def whom(restaurant: Restaurant | None) -> str:
    """Which restaurants, for a sentence."""
    return restaurant.told if restaurant else "all restaurants"


def checked_span(said: str) -> timedelta:
    """How long a pause lasts. Raises BadUsage."""
    span = _duration("--for", said)
    if not SHORTEST <= span <= LONGEST:
        raise BadUsage(
            f"--for {said} is not between 5 min and 7 days", "a restaurant that stays closed: accepts_orders"
        )
    return span


def checked_wait(said: str) -> timedelta:
    """How long to wait for orders under way. Raises BadUsage."""
    wait = _duration("--wait", said)
    if wait > MOST_WAIT:
        raise BadUsage(f"--wait {said} is more than 10 min", "what is still under way then is named: --wait 20s")
    return wait


def checked_reason(said: str) -> str:
    """Why, in one line that somebody can read later. Raises BadUsage."""
    given = " ".join(said.split())
    if len(given) > LONGEST_REASON or not given.isprintable():
        raise BadUsage(f"the reason is not one line of at most {LONGEST_REASON} characters", "write a shorter one")
    return given or NO_REASON


def by_hand(restaurant: Restaurant | None, span: timedelta, reason: str, who: str) -> str:
    """The statement that pauses, as one could type it."""
    one, why, by = ("'" + text.replace("'", "''") + "'" for text in (restaurant.id if restaurant else "", reason, who))
    until = f"clock_timestamp() + interval '{int(span.total_seconds())} s'"
    return (
        "insert into order_pauses (restaurant_id, reason, paused_by, ends_at)\n"
        f"values ({one if restaurant else 'null'}, {why}, {by}, {until})"
    )


def _duration(option: str, said: str) -> timedelta:
    try:
        return parse_duration(said)
    except ValueError as error:
        raise BadUsage(f"{option}: {error}", f"for example: {option} 30min") from None
