"""From what was measured to what is kept of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading


@dataclass(frozen=True, slots=True)
class Kept:
    """The arguments of History.append(), besides the time."""

    values: dict[tuple[str, str], float] = field(default_factory=dict)
    ofs: dict[tuple[str, str], float] = field(default_factory=dict)
    tried: dict[str, str] = field(default_factory=dict)


def split(readings: Iterable[Reading]) -> Kept:
    """What is kept of some readings. Of two rows with one label the first is kept, as it is the one that is shown."""
    kept = Kept()
    for reading in readings:
        metric = reading.metric.lower()
        kept.tried[metric] = _why(reading)
        for sample in reading.samples:
            if sample.value is not None and (metric, sample.label) not in kept.values:
                kept.values[metric, sample.label] = sample.value
                if sample.of is not None:
                    kept.ofs[metric, sample.label] = sample.of
    return kept


def _why(reading: Reading) -> str:
    """Why a metric is unknown, "" when it is known."""
    if reading.error or reading.level is not Level.UNKNOWN:
        return reading.error
    return next((one.why for one in reading.samples if one.why), "nobody could tell")
