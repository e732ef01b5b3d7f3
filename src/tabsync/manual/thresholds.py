"""Units and bounds: `> 5/hour and > 10 %` as people write them, in base units (seconds, bytes, percent, a count)."""

from __future__ import annotations

import re

from tabsync.kernel.units import parse_duration
from tabsync.manual.parts import Bound, Comparison, Operator, Unit, UnitKind

NO_BOUND = frozenset({"", "-", "—", "–", "none"})
"""How a cell says that there is no bound at this level."""

UNIT_EXPECTED = "'seconds', 'bytes', 'percent', or 'count of ...', each with an optional 'per hour'"
BOUND_EXPECTED = "a bound such as '> 80 %', '> 30 s', '> 10 GB', '> 5/hour and > 10 %', or '—' for none"

LEAVE_EXPECTED = "a value for each bound, warning first: '75 % / 90 %'; by default 90 % of the bound, 110 % for '<'"

_KINDS: dict[str, UnitKind] = {
    "second": "seconds",
    "seconds": "seconds",
    "byte": "bytes",
    "bytes": "bytes",
    "percent": "percent",
    "%": "percent",
    "count": "count",
}
_PERIODS = frozenset({"second", "minute", "hour", "day", "week"})
_UNIT = re.compile(r"(%|[a-z]+)(?: of ([^,]+?))?(?:(?: per |\s*/\s*)([a-z]+))?", re.IGNORECASE)

_COMPARISON = re.compile(
    r"(>=|<=|>|<|≥|≤)\s*(\d[\d,_]*(?:\.\d+)?|\.\d+)\s*(%|[a-z]*)\s*(?:(?:/\s*|per\s+)([a-z]+))?", re.IGNORECASE
)
_OPERATORS: dict[str, Operator] = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "≥": ">=", "≤": "<="}
_BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4, "pb": 1024**5}


def parse_unit(text: str) -> Unit:
    """'count of payments per hour' -> Unit. Raises ValueError for a unit we don't know."""
    match = _UNIT.fullmatch(text.strip().rstrip("."))
    kind = _KINDS.get(match[1].lower()) if match else None
    if match is None or kind is None or (match[3] and match[3].lower() not in _PERIODS):
        raise ValueError(f"{text.strip()!r} is not a known unit")
    return Unit(kind=kind, noun=match[2] or "", per=(match[3] or "").lower())


def parse_quantity(text: str, kind: UnitKind) -> float:
    """'8 GB' as a metric of this kind counts it (bytes). Raises ValueError when it isn't such a quantity."""
    comparison = _comparison(f"> {text.strip()}")
    if comparison.unit.kind != kind:
        raise ValueError(f"{text.strip()!r} is not in {kind}")
    return comparison.value


def parse_bound(text: str) -> Bound | None:
    """A cell of the thresholds; None when it says that there is no bound. Raises ValueError when it isn't a bound."""
    if text.strip().lower() in NO_BOUND:
        return None
    parts = re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE)
    return Bound(text=text.strip(), comparisons=tuple(_comparison(part) for part in parts))


def leaving(bound: Bound, text: str = "") -> Bound:
    """What must hold for an alert to go on that has begun at a bound: an alert ends later than it began.

    text: values in the order of the bound's comparisons, `4/hour and 1.5 %`; "" for 90 % of each, 110 % of what must be
    above. A bound of 0 has none. Raises ValueError for what isn't such values, or would end before it began.
    """
    if not text:
        parts = [
            one.model_copy(update={"value": one.value * (0.9 if one.operator[0] == ">" else 1.1)})
            for one in bound.comparisons
        ]
        return Bound(text=bound.text, comparisons=tuple(parts))
    said = re.split(r"\s+and\s+", text, flags=re.IGNORECASE)
    if len(said) != len(bound.comparisons):
        raise ValueError(f"{text!r} has {len(said)} values, and {bound.text!r} {len(bound.comparisons)} comparisons")
    found = []
    for one, value in zip(bound.comparisons, said, strict=True):
        given = _comparison(value if value[0] in "<>≤≥" else f"{one.operator} {value}")
        if given.unit != one.unit or given.operator[0] != one.operator[0]:
            raise ValueError(f"{value!r} is not compared as {bound.text!r} is")
        if (given.value > one.value) if one.operator[0] == ">" else (given.value < one.value):
            raise ValueError(f"{value!r} is beyond {bound.text!r}: it would end before it began")
        found.append(one.model_copy(update={"value": given.value}))
    return Bound(text=text, comparisons=tuple(found))


def _comparison(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is not a bound")
    number = float(match[2].replace(",", "").replace("_", ""))
    value, kind = _to_base(number, match[3])
    per = (match[4] or "").lower()
    if per and per not in _PERIODS:
        raise ValueError(f"{match[4]!r} is not a period of time")
    return Comparison(operator=_OPERATORS[match[1]], value=value, unit=Unit(kind=kind, per=per))


def _to_base(number: float, word: str) -> tuple[float, UnitKind]:
    """A number and the word after it, in base units. Raises ValueError for an unknown word."""
    if not word:
        return number, "count"
    if word.lower() in ("%", "percent"):
        return number, "percent"
    # "B" alone and "kB" are bytes; the words of time are left to the kernel, which knows no bytes.
    if word.lower() in _BYTES:
        return number * _BYTES[word.lower()], "bytes"
    try:
        return parse_duration(f"1 {word}").total_seconds() * number, "seconds"
    except ValueError:
        raise ValueError(f"{word!r} is not a known unit") from None


def comparable(bound: Unit, metric: Unit) -> bool:
    """Whether a bound in one unit can judge a metric in another: the same kind and period, or a percentage of it."""
    return bound.kind == "percent" or (bound.kind == metric.kind and bound.per == metric.per)


def is_milder(warning: Bound, critical: Bound) -> bool:
    """Whether the warning is reached before the critical bound in at least one unit, and after it in none."""
    wanted = {comparison.unit: comparison for comparison in critical.comparisons}
    shared = [(one, wanted[one.unit]) for one in warning.comparisons if one.unit in wanted]
    if any(a.operator[0] != b.operator[0] for a, b in shared):
        return False
    signs = [(b.value - a.value) * (1 if a.operator[0] == ">" else -1) for a, b in shared]
    return not shared or (min(signs) >= 0 and max(signs) > 0)
