"""How a metric stands by what was kept: what isn't known of now is unknown, and never in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.monitoring.history.lines import Line, Point
from tabsync.monitoring.history.readings import split
from tabsync.monitoring.history.spark import GAP, columns, fitting, sparkline
from tabsync.monitoring.history.standing import NEVER, Kept, Standing, address_of, metric_named, standings
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading, Sample
from tabsync.profiles.tabsync import PROFILE_MANUAL

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def manual() -> Manual:
    return read(PROFILE_MANUAL)[0]


def stands(manual: Manual, title: str, kept: Kept, at: datetime = NOW) -> Standing:
    return next(one for one in standings(manual, kept, at) if one.metric.title == title)


def kept(metric: str, rows: dict[str, tuple[float, float | None]], at: datetime = NOW, why: str = "") -> Kept:
    latest = {(metric, label): (at, value, of) for label, (value, of) in rows.items()}
    return Kept(latest, {metric: (at, why)}, at)


def test_what_was_never_measured_is_unknown_and_says_who_measures(manual: Manual) -> None:
    for one in standings(manual, Kept({}, {}, None), NOW):
        assert (one.level, one.why, one.samples) == (Level.UNKNOWN, NEVER, ())


def test_a_value_is_judged_by_today_s_bounds(manual: Manual) -> None:
    for value, level in ((10.0, Level.OK), (85.0, Level.WARNING), (97.0, Level.CRITICAL)):
        one = stands(manual, "Active connections", kept("active connections", {"": (value, 100.0)}))
        assert (one.level, one.why) == (level, "")


@pytest.mark.parametrize(
    ("seconds", "level"), [(100, Level.OK), (130, Level.UNKNOWN), (-100, Level.OK), (-3600, Level.UNKNOWN)]
)
def test_what_is_too_old_is_unknown_whatever_it_was(manual: Manual, seconds: int, level: Level) -> None:
    old = kept("active connections", {"": (10.0, 100.0)}, NOW - timedelta(seconds=seconds))
    one = stands(manual, "Active connections", old)
    assert one.level is level
    assert {each.level for each in one.samples} == {level}, "nor do its samples look fine"
    assert bool(one.why) is (level is Level.UNKNOWN)
    assert ("not measured for" in one.why) is (seconds > 120)


def test_the_newest_attempt_decides_not_the_value_that_is_left_from_before(manual: Manual) -> None:
    at = NOW - timedelta(seconds=15)
    before = kept("active connections", {"": (10.0, 100.0)}, at).latest
    one = stands(manual, "Active connections", Kept(before, {"active connections": (NOW, "permission denied")}, NOW))
    assert (one.level, one.why, one.at) == (Level.UNKNOWN, "permission denied", at)


def test_a_label_that_is_not_there_any_more_is_not_shown(manual: Manual) -> None:
    gone = kept("dead tuples", {"public.old": (90_000.0, None)}, NOW - timedelta(minutes=10)).latest
    here = kept("dead tuples", {"public.new": (5.0, None)})
    one = stands(manual, "Dead tuples", Kept({**gone, **here.latest}, here.tried, NOW))
    assert [each.label for each in one.samples] == ["public.new"]
    assert one.level is Level.OK
    none = stands(manual, "Dead tuples", Kept(gone, here.tried, NOW))
    assert (none.samples, none.level, none.at) == ((), Level.OK, NOW), "no row was measured, and that is in order"


def test_a_bound_in_percent_of_nothing_is_unknown(manual: Manual) -> None:
    one = stands(manual, "Active connections", kept("active connections", {"": (10.0, None)}))
    assert one.level is Level.UNKNOWN and "percent" in one.why


@pytest.mark.parametrize(
    "name", ["active connections", "Active-Connections", "ACTIVE CONNECTIONS", "active_connections"]
)
def test_a_metric_is_found_as_people_type_it(manual: Manual, name: str) -> None:
    assert metric_named(manual, name).title == "Active connections"


@pytest.mark.parametrize("title", ["Reads/s", "连接数", "Größe in %", "a  b?#&", "Active connections"])
def test_an_address_names_its_metric(manual: Manual, title: str) -> None:
    changed = manual.metrics[3].model_copy(update={"title": title})
    other = manual.model_copy(update={"metrics": (*manual.metrics[4:], changed)})
    assert "/" not in address_of(title)
    assert metric_named(other, unquote(address_of(title))) is changed


@pytest.mark.parametrize(
    ("name", "near"), [("actve conections", "Active connections"), ("lag", "Replication lag"), ("zzz", "metrics list")]
)
def test_a_name_that_is_none_is_answered_with_those_that_are_near(manual: Manual, name: str, near: str) -> None:
    with pytest.raises(BadUsage) as refused:
        metric_named(manual, name)
    assert near in refused.value.hint


def test_what_is_kept_of_readings(manual: Manual) -> None:
    metric = metric_named(manual, "dead tuples")

    def reading(samples: tuple[Sample, ...], level: Level, error: str = "") -> Reading:
        return Reading(metric.title, metric.unit, samples, level, 0.1, NOW, error)

    good = Sample("a", 1.0, 2.0, Level.OK)
    null = Sample("b", None, None, Level.UNKNOWN, why="the value is null")
    found = split([reading((good, null, Sample("a", 9.0, None, Level.OK)), Level.UNKNOWN)])
    assert (found.values, found.ofs) == ({("dead tuples", "a"): 1.0}, {("dead tuples", "a"): 2.0})
    assert found.tried == {"dead tuples": "the value is null"}
    assert split([reading((), Level.UNKNOWN, "lock timeout")]).tried == {"dead tuples": "lock timeout"}
    assert split([reading((good,), Level.OK)]).tried == {"dead tuples": ""}


def test_a_sparkline_has_its_gaps() -> None:
    hour = timedelta(hours=1)
    points = [Point(NOW + hour * place, 0, value, 9, 1) for place, value in ((0, 0.0), (1, 7.0), (3, 3.5), (4, 7.0))]
    line = Line("", points, hour)
    assert columns(line, NOW, NOW + 5 * hour) == [0.0, 7.0, None, 3.5, 7.0]
    assert sparkline(columns(line, NOW, NOW + 5 * hour)) == "▁█·▅█"
    assert columns(line, NOW + timedelta(minutes=59), NOW + 2 * hour) == [0.0, 7.0]
    assert sparkline([5.0, 5.0]) == "▄▄"
    assert sparkline([-1.7e308, 1.7e308, None]) == "▁█" + GAP
    assert fitting(timedelta(hours=6), timedelta(hours=1), 48) == 6, "no gaps are shown that are none"
    assert fitting(timedelta(hours=6), timedelta(seconds=15), 48) == 48


def test_while_nobody_measures_not_even_what_is_measured_hourly_is_in_order(manual: Manual) -> None:
    hour_old = NOW - timedelta(hours=1)
    latest: dict[tuple[str, str], tuple[datetime, float, float | None]] = {
        ("sequences used", "public.s"): (hour_old, 10.0, 100.0)
    }
    for last, level in ((NOW, Level.OK), (NOW - timedelta(minutes=3), Level.UNKNOWN)):
        one = stands(manual, "Sequences used", Kept(latest, {"sequences used": (hour_old, "")}, last))
        assert one.level is level
    assert one.why == "nothing was kept for 3 min: nobody measures, or the history can't be written"
