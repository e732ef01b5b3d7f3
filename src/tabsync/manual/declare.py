"""What a manual leaves open that somebody has to declare before a bound can be told. It pages nobody: it is a list."""

from __future__ import annotations

from collections.abc import Iterator

from tabsync.manual.model import Manual, Metric


def to_declare(manual: Manual) -> list[str]:
    """What is open, with its line: the limits (`Of:`) that a bound in percent needs and that are "not declared"."""
    return [
        f"line {one.of_line}: {one.title} has a bound in percent, and its limit is not declared: Of: 8 GB, or Of: disk"
        if one.unit.kind == "bytes"
        else f"line {one.of_line}: {one.title} has a bound in percent, and its limit (Of:) is not declared"
        for one in _open(manual)
    ]


def _open(manual: Manual) -> Iterator[Metric]:
    for metric in manual.metrics:
        bounds = [bound for row in manual.thresholds_of(metric.title) for bound in (row.warning, row.critical) if bound]
        in_percent = any(one.unit.kind == "percent" for bound in bounds for one in bound.comparisons)
        if in_percent and metric.of_line and metric.of is None and not metric.of_source:
            yield metric
