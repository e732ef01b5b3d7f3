"""Folds the hours that are over, and drops what is too old or too much.

Each hour is one transaction: its scrapes become chunks and points and are gone, or nothing has happened. So it can be
killed anywhere, and be called again.

What comes late for an hour joins its chunk, and the hour's points are made again from all of it. Where the chunk was
dropped already, it joins the points: a chunk of the late ones alone would look like the whole hour.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tabsync.monitoring.history.codec import Sample, pack_chunk, unpack_chunk, unpack_scrape
from tabsync.monitoring.history.file import SQL, used
from tabsync.monitoring.history.rollup import DAY, FIVE, HOUR, Roll, merged, rolled

RAW_KEPT = 7 * DAY
FIVES_KEPT = 30 * DAY
HOURS_KEPT = 395 * DAY
"""13 months of 365 / 12 days."""
SESSIONS_KEPT = HOURS_KEPT

LABELS = 1000
"""How many labels of a metric are kept: those of which something came last."""

_FREED = 2000  # pages that are given back to the file system at a time
_LESS = 0.9  # of the bound, for the file itself: the rest is for its log
_A_DAY = DAY  # how far the clock of the retention goes at a time


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was done. folded: hours; dropped: what the bound on the size cost, in words, "" for nothing; size: bytes
    that are used.
    """

    folded: int
    dropped: str
    size: int


def tidy(connection: sqlite3.Connection, now: int, max_size: int) -> Tidied:
    """Fold, drop what is too old, keep to the bound."""
    folded = 0
    for (hour,) in connection.execute(SQL["open_hours"]).fetchall():
        if hour != now // HOUR:
            with _transaction(connection):
                _fold(connection, hour)
            folded += 1
    with _transaction(connection):
        horizon = _horizon(connection, now)
        if _state(connection, "retained") != horizon // HOUR:
            _drop_old(connection, horizon)
            _set_state(connection, "retained", horizon // HOUR)
    dropped = _keep_to(connection, int(max_size * _LESS))
    connection.execute(f"pragma incremental_vacuum({_FREED})").fetchall()
    return Tidied(folded, dropped, used(connection))


def _fold(connection: sqlite3.Connection, hour: int) -> None:
    span = {"since": hour * HOUR, "until": (hour + 1) * HOUR}
    found: dict[int, list[Sample]] = {}
    for at, body in connection.execute(SQL["scrapes"], span):
        for series, value, of in unpack_scrape(body):
            found.setdefault(series, []).append(Sample(at, value, of))
    for series, samples in found.items():
        _fold_series(connection, series, hour, samples)
    connection.execute(SQL["delete_scrapes"], span)


def _fold_series(connection: sqlite3.Connection, series: int, hour: int, samples: Sequence[Sample]) -> None:
    place = {"series": series, "hour": hour}
    chunk = connection.execute(SQL["chunk"], place).fetchone()
    points = _rolls(connection, series, HOUR, hour)
    if chunk or not points:
        whole = [*(unpack_chunk(chunk[0], hour * HOUR) if chunk else ()), *samples]
        connection.execute(SQL["set_chunk"], place | {"body": pack_chunk(whole, hour * HOUR)})
        fives, hourly = rolled(whole, FIVE), rolled(whole, HOUR)
    else:
        fives = merged([*_rolls(connection, series, FIVE, hour), *rolled(samples, FIVE)], FIVE)
        hourly = merged([*points, *rolled(samples, HOUR)], HOUR)
    for width, rolls in ((FIVE, fives), (HOUR, hourly)):
        rows = [{"width": width, "series": series, **one._asdict()} for one in rolls]
        connection.executemany(SQL["set_rollup"], rows)


def _rolls(connection: sqlite3.Connection, series: int, width: int, hour: int) -> list[Roll]:
    asked = {"width": width, "series": series, "since": hour * HOUR, "until": (hour + 1) * HOUR}
    return [Roll._make(row) for row in connection.execute(SQL["rollups"], asked)]


def _horizon(connection: sqlite3.Connection, now: int) -> int:
    """The time by which things are old: the clock's, but at most a day further than the last time.

    A clock that jumps years ahead would otherwise take the whole history with it, before anybody could set it right.
    """
    last = _state(connection, "horizon")
    horizon = now if last is None else min(now, last + _A_DAY)
    _set_state(connection, "horizon", horizon)
    return horizon


def _drop_old(connection: sqlite3.Connection, horizon: int) -> None:
    for series in _series(connection):
        connection.execute(SQL["drop_chunks"], {"series": series, "before": (horizon - RAW_KEPT) // HOUR})
        _drop_rolls(connection, series, FIVE, horizon - FIVES_KEPT)
        _drop_rolls(connection, series, HOUR, horizon - HOURS_KEPT)
    connection.execute(SQL["drop_old_readings"], {"before": horizon - HOURS_KEPT})
    connection.execute(SQL["drop_old_events"], {"before": horizon - HOURS_KEPT})
    connection.execute(SQL["drop_old_sessions"], {"before": horizon - SESSIONS_KEPT})
    connection.execute(SQL["drop_old_logins"], {"before": (horizon - SESSIONS_KEPT) // HOUR})
    for metric, labels in connection.execute(SQL["crowded"], {"most": LABELS}).fetchall():
        crowd = {"metric": metric, "count": labels - LABELS}
        for (series,) in connection.execute(SQL["longest_unseen"], crowd).fetchall():
            connection.execute(SQL["drop_chunks"], {"series": series, "before": 1 << 60})
            _drop_rolls(connection, series, FIVE, 1 << 60)
            _drop_rolls(connection, series, HOUR, 1 << 60)
            _forget(connection, series)
    # What came within a day may be in a scrape that is still open.
    for (series,) in connection.execute(SQL["empty_series"], {"since": horizon - DAY}).fetchall():
        _forget(connection, series)


def _keep_to(connection: sqlite3.Connection, bound: int) -> str:
    """Drop the oldest raw samples, then the oldest points of five minutes, then of an hour, until it fits."""
    told = ""
    for what, drop in _WAYS:
        while used(connection) > bound:
            with _transaction(connection):
                if not drop(connection):
                    break
            told = what
    if told:
        with _transaction(connection):
            _set_state(connection, "dropped", told)
    return told


def _drop_raw(connection: sqlite3.Connection) -> bool:
    return _drop_oldest(connection, "oldest_chunk", "drop_chunks", {}, 6)


def _drop_fives(connection: sqlite3.Connection) -> bool:
    return _drop_oldest(connection, "oldest_rollup", "drop_rollups", {"width": FIVE}, DAY)


def _drop_hours(connection: sqlite3.Connection) -> bool:
    return _drop_oldest(connection, "oldest_rollup", "drop_rollups", {"width": HOUR}, 10 * DAY)


def _drop_oldest(connection: sqlite3.Connection, oldest: str, drop: str, asked: dict[str, int], amount: int) -> bool:
    """Drop the oldest of all series; False when there is nothing left."""
    every = _series(connection)
    found = [
        row[0]
        for series in every
        if (row := connection.execute(SQL[oldest], asked | {"series": series}).fetchone())[0] is not None
    ]
    if not found:
        return False
    for series in every:
        connection.execute(SQL[drop], asked | {"series": series, "before": min(found) + amount})
    return True


def _drop_scrapes(connection: sqlite3.Connection) -> bool:
    oldest = connection.execute(SQL["oldest_scrape"]).fetchone()[0]
    if oldest is None:
        return False
    connection.execute(SQL["delete_scrapes"], {"since": oldest, "until": oldest + FIVE})
    return True


_WAYS: tuple[tuple[str, Callable[[sqlite3.Connection], bool]], ...] = (
    ("the oldest raw samples were dropped", _drop_raw),
    ("the raw samples and the oldest points of 5 minutes were dropped", _drop_fives),
    ("the raw samples, the points of 5 minutes and the oldest points of an hour were dropped", _drop_hours),
    ("everything but the newest samples was dropped", _drop_scrapes),
)


def _drop_rolls(connection: sqlite3.Connection, series: int, width: int, before: int) -> None:
    connection.execute(SQL["drop_rollups"], {"width": width, "series": series, "before": before})


def _forget(connection: sqlite3.Connection, series: int) -> None:
    connection.execute(SQL["forget_last"], {"series": series})
    connection.execute(SQL["forget_series"], {"series": series})


def _series(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute(SQL["all_series"])]


def _state(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute(SQL["state"], {"name": name}).fetchone()
    return None if row is None else int(row[0])


def _set_state(connection: sqlite3.Connection, name: str, value: int | str) -> None:
    connection.execute(SQL["set_state"], {"name": name, "value": value})


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
