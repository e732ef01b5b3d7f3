"""The sections that are tables: one function each, from the rows to typed values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import zip_longest
from typing import Literal, get_args

from tabsync.kernel.units import parse_duration
from tabsync.manual.model import Feature, Permissions, RetentionClass, Threshold
from tabsync.manual.parts import Bound, EnumLabel
from tabsync.manual.sections import Problem, Section, table_of
from tabsync.manual.thresholds import BOUND_EXPECTED, LEAVE_EXPECTED, NO_BOUND, leaving, parse_bound

DURATION_EXPECTED = "a duration such as '30 days' or '15 minutes'"
_YES = frozenset({"✅", "✅️", "yes"})
_NO = frozenset({"❌", "❌️", "no"})
_State = Literal["in use", "retained", "removed"]


def records(
    section: Section, columns: tuple[str, ...], problems: list[Problem], at_will: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a section's table as (line, cell by lower-case column name); a wrong table is one problem.

    at_will: columns that may be left out; their cells are then "".
    """
    wanted = [column.lower() for column in columns]
    expected = f"the columns {', '.join(columns)}"
    found = False
    for node in section.of_type("table"):
        table = table_of(node)
        header = [column.lower() for column in table.columns]
        found = True
        lacking = [column for column in columns if column.lower() not in header]
        if lacking:
            problems.append(Problem(table.line, f"the table lacks the column {', '.join(lacking)}", expected))
            continue
        for row in table.rows:
            cells = dict(zip(header, row.cells, strict=False))
            more = {column.lower(): cells.get(column.lower(), "").strip() for column in at_will}
            yield row.line, {column: cells[column].strip() for column in wanted} | more
    if not found:
        problems.append(Problem(section.line, f"no table under {section.title!r}", f"a table with {expected}"))


def duration_in(text: str, line: int, problems: list[Problem]) -> timedelta | None:
    """A duration, or None and a problem."""
    try:
        return parse_duration(text)
    except ValueError:
        problems.append(Problem(line, f"{text!r} is not a duration", DURATION_EXPECTED))
        return None


def retention(section: Section, problems: list[Problem]) -> tuple[RetentionClass, ...]:
    """The retention classes."""
    classes = []
    for line, row in records(section, ("Class", "What", "Frequency", "Retention", "Stores"), problems):
        kept = duration_in(row["retention"], line, problems)
        stores = tuple(store for store in re.split(r"\s*(?:,|\+|\band\b)\s*", row["stores"]) if store)
        if not stores:
            problems.append(Problem(line, f"the class {row['class']!r} names no store", "where its backups are kept"))
        if kept is not None:
            classes.append(
                RetentionClass(
                    name=row["class"],
                    what=row["what"],
                    frequency=row["frequency"],
                    retention=kept,
                    stores=stores,
                    line=line,
                )
            )
    return tuple(classes)


def permissions(section: Section, problems: list[Problem]) -> Permissions:
    """The permission matrix: the first column names the feature, every other column is a role."""
    node = next(section.of_type("table"), None)
    if node is None:
        problems.append(Problem(section.line, f"no table under {section.title!r}", "a table: Feature, then the roles"))
        return Permissions()
    table = table_of(node)
    roles = table.columns[1:]
    features = []
    for row in table.rows:
        name, *cells = row.cells
        allowed = {role: cell.strip().lower() in _YES for role, cell in zip(roles, cells, strict=False)}
        for role, cell in zip(roles, cells, strict=False):
            if cell.strip().lower() not in _YES | _NO:
                problems.append(Problem(row.line, f"{name!r} for {role} is {cell.strip()!r}", "✅ or ❌ (or yes, no)"))
        features.append(Feature(name=name, allowed=allowed, line=row.line))
    return Permissions(roles=roles, features=tuple(features), line=table.line)


def thresholds(section: Section, problems: list[Problem]) -> tuple[Threshold, ...]:
    """The thresholds."""
    rows = []
    columns = ("Metric", "Warning", "Critical", "For", "Action", "Runbook")
    for line, row in records(section, columns, problems, ("Leave", "Tell")):
        warning, critical = (_bound(row[level], line, level, problems) for level in ("warning", "critical"))
        held = timedelta(0) if row["for"].lower() in NO_BOUND else duration_in(row["for"], line, problems)
        leave_warning, leave_critical = _leaving(row["leave"], warning, critical, line, problems)
        rows.append(
            Threshold(
                metric=row["metric"],
                warning=warning,
                critical=critical,
                for_=held or timedelta(0),
                action=row["action"],
                runbook="" if row["runbook"].lower() in NO_BOUND else row["runbook"],
                line=line,
                leave_warning=leave_warning,
                leave_critical=leave_critical,
                tell=names_in(row["tell"]),
            )
        )
    return tuple(rows)


def _bound(text: str, line: int, level: str, problems: list[Problem]) -> Bound | None:
    try:
        return parse_bound(text)
    except ValueError as error:
        problems.append(Problem(line, f"{level}: {error}", BOUND_EXPECTED))
        return None


def _leaving(
    text: str, warning: Bound | None, critical: Bound | None, line: int, problems: list[Problem]
) -> tuple[Bound | None, Bound | None]:
    """What must hold for a warning, and for a critical alert, to go on: `75 % / 90 %`, the levels that have a bound."""
    bounds = [one for one in (warning, critical) if one]
    said = [] if text.lower() in NO_BOUND else [part.strip() for part in text.split(" / ")]
    if said and len(said) != len(bounds):
        what = f"leave: {text!r} says {len(said)} values, and there are {len(bounds)} bounds"
        problems.append(Problem(line, what, LEAVE_EXPECTED))
        said = []
    found = {}
    for bound, part in zip_longest(bounds, said, fillvalue=""):
        try:
            found[id(bound)] = leaving(bound, part) if isinstance(bound, Bound) else None
        except ValueError as error:
            problems.append(Problem(line, f"leave: {error}", LEAVE_EXPECTED))
    return found.get(id(warning)), found.get(id(critical))


def names_in(text: str) -> tuple[str, ...]:
    """Names in a cell; () when it is empty."""
    return () if text.lower() in NO_BOUND - {"none"} else tuple(re.split(r"\s*(?:,|\+|\band\b)\s*", text))


def enum_labels(section: Section, problems: list[Problem]) -> tuple[EnumLabel, ...]:
    """What is said of the labels of enum types."""
    labels = []
    for line, row in records(section, ("Type", "Label", "State", "Note"), problems):
        state = row["state"].lower()
        if state not in get_args(_State):
            problems.append(Problem(line, f"the label's state is {row['state']!r}", "in use, retained or removed"))
            continue
        labels.append(EnumLabel.model_validate(row | {"state": state, "line": line}))
    return tuple(labels)
