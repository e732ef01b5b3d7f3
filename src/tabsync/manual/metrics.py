"""The metrics: a heading with a query, or with what tabsync itself knows, and its fields."""

from __future__ import annotations

import re
from datetime import timedelta

from markdown_it.tree import SyntaxTreeNode

from tabsync.manual.model import Metric
from tabsync.manual.parts import Unit
from tabsync.manual.sections import Problem, Section, line_of
from tabsync.manual.tables import duration_in
from tabsync.manual.thresholds import UNIT_EXPECTED, parse_quantity, parse_unit

EVERY = timedelta(minutes=1)
"""How often a metric is measured when the manual doesn't say."""

SOURCES = (
    "recoverable to",
    "disk",
    "cpu",
    "memory",
    "pooler clients",
    "pooler clients waiting",
    "pooler wait",
    "collector",
)
"""What tabsync itself can tell, where a metric says so with `Source:` instead of a query."""

DISK = "disk"
"""What `Of:` may name instead of a quantity: the size of the disk that the server's data are on."""

OLDEST = 15
"""The oldest version of PostgreSQL that is looked after."""

_SQL_SINCE = re.compile(r"sql(?:\s+(\d+)\+)?")
_FIELD = re.compile(r"(Unit|Every|Of|No rows|Gone|Source):\s*(.*?)\.?", re.IGNORECASE)


def metric(section: Section, problems: list[Problem]) -> Metric | None:
    """A heading with a sql block or the line `Source: ...`, with `Unit: ...`, and at will `Every: ...`, `Of: ...`,
    `No rows: ok`, `Gone: ok`."""
    block, newer = _queries(section, problems)
    fields, prose = _fields(section)
    if block is None and "source" not in fields:
        return None
    source, source_line = fields.get("source", ("", 0))
    if source_line and (block is not None or source.lower() not in SOURCES):
        what = f"'Source: {source}' is unknown" if block is None else "a metric with a query has no 'Source:'"
        problems.append(Problem(source_line, what, f"one of: {', '.join(SOURCES)}; or a sql block"))
    unit = _unit(section, fields, problems)
    every_text, every_line = fields.get("every", ("", 0))
    of_text, of_line = fields.get("of", ("", 0))
    no_rows, no_rows_line = fields.get("no rows", ("ok", 0))
    if no_rows.lower() != "ok":
        problems.append(Problem(no_rows_line, f"'No rows: {no_rows}' is unknown", "'No rows: ok', or no such line"))
    gone, gone_line = fields.get("gone", ("ok", 0))
    if gone.lower() != "ok":
        problems.append(Problem(gone_line, f"'Gone: {gone}' is unknown", "'Gone: ok', or no such line"))
    return Metric(
        title=section.title,
        unit=unit,
        sql=block.content.strip() if block else "",
        source="" if block else source.lower(),
        prose=prose,
        every=(duration_in(every_text, every_line, problems) if every_line else None) or EVERY,
        of=_denominator(of_text, of_line, unit, problems),
        of_source=DISK if _is_disk(of_text) else "",
        of_line=of_line,
        no_rows_ok=no_rows_line > 0 and no_rows.lower() == "ok",
        gone_ok=gone_line > 0 and gone.lower() == "ok",
        line=section.line,
        sql_line=line_of(block) + 1 if block else source_line,
        newer=newer,
    )


def _queries(
    section: Section, problems: list[Problem]
) -> tuple[SyntaxTreeNode | None, tuple[tuple[int, str, int], ...]]:
    """The block of a metric for every version, and those for newer ones: `sql 17+`."""
    blocks: dict[int, SyntaxTreeNode] = {}
    for node in section.of_type("fence"):
        match = _SQL_SINCE.fullmatch(node.info.strip().lower())
        if match is None:
            continue
        since = int(match[1] or 0)
        if since in blocks:
            versions = f"{since} and newer" if since else "every version"
            problems.append(Problem(line_of(node), f"a second block for {versions}", "one block for each"))
        blocks.setdefault(since, node)
    if not blocks:
        return None, ()
    first = min(blocks)
    if first > OLDEST:
        what = f"the metric {section.title!r} has no query for PostgreSQL {OLDEST} to {first - 1}"
        problems.append(Problem(line_of(blocks[first]), what, "a block with 'sql' alone, for all the others"))
    newer = [(since, node.content.strip(), line_of(node) + 1) for since, node in blocks.items() if since != first]
    return blocks[first], tuple(sorted(newer))


def _unit(section: Section, fields: dict[str, tuple[str, int]], problems: list[Problem]) -> Unit:
    """The unit of a metric; a plain count, and a problem, when it has none that we know."""
    text, line = fields.get("unit", ("", section.line))
    try:
        return parse_unit(text)
    except ValueError as error:
        what = f"the metric {section.title!r} has no unit" if "unit" not in fields else f"unknown unit: {error}"
        problems.append(Problem(line, what, f"a line 'Unit: ' with {UNIT_EXPECTED}"))
        return Unit(kind="count")


def _fields(section: Section) -> tuple[dict[str, tuple[str, int]], str]:
    """The `Name: value` lines of a metric with their line numbers, and the rest as prose."""
    fields: dict[str, tuple[str, int]] = {}
    prose = []
    for node in section.of_type("paragraph"):
        rest = []
        inline = node.children[0]
        for line, text in enumerate(inline.content.split("\n"), start=line_of(node)):
            if match := _FIELD.fullmatch(text.strip()):
                fields[match[1].lower()] = (match[2], line)
            else:
                rest.append(text)
        prose.append(" ".join(rest))
    return fields, "\n\n".join(text for text in prose if text)


def _denominator(text: str, line: int, unit: Unit, problems: list[Problem]) -> float | None:
    if not line or text.lower().startswith("not declared"):
        return None
    if _is_disk(text):
        if unit.kind != "bytes":
            what = f"'Of: {text}' is a size, and the metric is in {unit.kind}"
            problems.append(Problem(line, what, "'Unit: bytes', or another limit"))
        return None
    try:
        return parse_quantity(text, unit.kind)
    except ValueError as error:
        problems.append(Problem(line, f"Of: {error}", f"a quantity in {unit.kind}, 'disk', or 'not declared'"))
        return None


def _is_disk(text: str) -> bool:
    return text.strip().lower() == DISK
