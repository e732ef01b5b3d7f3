"""A number against a bound. Pure; what can't be told is unknown, and unknown is never ok."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from enum import StrEnum

from tabsync.manual.model import Threshold
from tabsync.manual.parts import Bound, Comparison


class Level(StrEnum):
    """How a measurement stands. UNBOUNDED: measured, and the manual sets no bound on it."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    UNBOUNDED = "no bound"


_SEVERITY = (Level.UNBOUNDED, Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL)
"""Unknown stands above a warning, since it may hide a critical one."""

_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def worst(levels: Iterable[Level]) -> Level:
    """The level of several measurements together; UNBOUNDED when there are none."""
    return max(levels, key=_SEVERITY.index, default=Level.UNBOUNDED)


def judge(threshold: Threshold, value: float | None, of: float | None) -> Level:
    """The level of a value, in the metric's base unit.

    of: what the value is a part of, in the same unit; a bound in percent needs it. A value that is missing or not a
    number is UNKNOWN, and so is one whose critical bound can't be told.
    """
    if value is None or math.isnan(value):
        return Level.UNKNOWN
    for bound, level in ((threshold.critical, Level.CRITICAL), (threshold.warning, Level.WARNING)):
        held = reached(bound, value, of) if bound else False
        if held is None:
            return Level.UNKNOWN
        if held:
            return level
    return Level.OK


def reached(bound: Bound, value: float, of: float | None) -> bool | None:
    """Whether every comparison holds. One that doesn't settles it, also when another can't be told (None)."""
    held = [_holds(comparison, value, of) for comparison in bound.comparisons]
    if any(one is False for one in held):
        return False
    return None if any(one is None for one in held) else True


def _holds(comparison: Comparison, value: float, of: float | None) -> bool | None:
    compare = _OPERATORS[comparison.operator]
    if comparison.unit.kind != "percent":
        return bool(compare(value, comparison.value))
    if of is None or math.isnan(of) or of <= 0:
        return None
    # Multiplied, not divided: 95 of 100 is then exactly 95 %.
    return bool(compare(value * 100, comparison.value * of))
