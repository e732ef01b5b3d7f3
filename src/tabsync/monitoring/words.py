"""A measured value as people read it: "12 of 97 connections (12 %)", "5.2 s", "1.2 GB of 8.0 GB (15 %)"."""

from __future__ import annotations

from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.manual.parts import Unit
from tabsync.monitoring.measure import Sample

_LABEL = 120  # characters of a label


def amount(unit: Unit, sample: Sample) -> str:
    """The value of a sample in words, with what it is a part of where that is known."""
    if sample.value is None:
        return "unknown"
    text = quantity(unit, sample.value)
    if unit.kind == "percent" and sample.of == 100:
        return text
    if sample.of is not None:
        text += f" of {quantity(unit, sample.of)}"
    if unit.kind == "count" and unit.noun:
        text += f" {unit.noun.removesuffix('s') if sample.value == 1 and sample.of is None else unit.noun}"
    if unit.per:
        text += f"/{unit.per}"
    percent = sample.percent
    return f"{text} ({percent:.0f} %)" if percent is not None else text


def quantity(unit: Unit, value: float) -> str:
    """A value in words without what it counts, for a column whose heading says that: "12", "5.2 s", "1.2 GB"."""
    if unit.kind == "bytes":
        return human_bytes(value)
    if unit.kind == "seconds":
        return human_seconds(value)
    digits = 0 if value == int(value) or abs(value) >= 100 else 2 if abs(value) < 1 and unit.kind == "percent" else 1
    number = f"{value:,.{digits}f}"
    return f"{number} %" if unit.kind == "percent" else number


def shortened(label: str) -> str:
    """A label as it is told: whoever named it may have been long-winded, or mean."""
    return label if len(label) <= _LABEL else f"{label[:_LABEL]}..."
