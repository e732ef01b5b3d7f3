"""What restore diff found, as a page: the fact first, then tables, objects and sequences. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tabsync.kernel.clock import local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds

_WIDE = 98
_LINES = 8
"""Lines of a definition that differ and are shown; --json has all."""
_OBJECTS = 40
_VALUE = 40


def page_of_diff(facts: Facts, details: Facts | None, names: Mapping[str, str]) -> Page:
    """The page. facts: what is on record; details: what is not (definitions, values), None where it is gone; names: of
    the databases, by "new" and "old"."""
    same_name = names["new"] == names["old"]
    called = {word: word.upper() if same_name else name for word, name in names.items()}
    verdict = _verdict(facts)
    shown = details or facts
    data = {"verdict": verdict, **facts, **(details or {}), "new": names["new"], "old": names["old"]}
    page = Page("database difference", data, private=("samples", "objects"))
    page.exit_code = Exit.DONE if verdict == "same" else Exit.PROBLEM_FOUND
    page.line(_headline(facts, called), style="strong good" if verdict == "same" else "strong bad")
    page.line(_when(facts, called), style="quiet")
    _add_tables(page, shown["tables"], called)
    _add_objects(page, shown["objects"], called)
    for one in facts["sequences"]:
        page.line(
            f"{'unknown: ' if one['state'] == 'unknown' else ''}sequence {one['sequence']}: {_position(one['new'])} in"
            f" {called['new']}, {_position(one['old'])} in {called['old']}",
            style="bad" if one["state"] == "unknown" else "",
        )
    majors = facts["majors"]
    if facts["objects"] and majors["new"] != majors["old"]:
        page.note(
            f"PostgreSQL {majors['new']} and {majors['old']} write some definitions in other words: read those that"
            " differ"
        )
    if facts["left_out"]:
        page.note(f"left out: {', '.join(facts['left_out'])}")
    if not facts["compared_objects"]:
        page.note("objects and sequences were not compared: --table asks for rows only")
    if not facts["rows_compared"]:
        page.note("rows were not compared: --no-rows")
    if details is None and verdict != "same":
        page.note("definitions and values of rows are not kept on record: the command line shows them")
    return page


def _verdict(facts: Facts) -> str:
    states = {one["state"] for one in facts["tables"]}
    states |= {one["state"] for one in facts["sequences"]}
    if states & {"different", "new", "old"} or facts["objects"]:
        return "different"
    return "unknown" if "unknown" in states or facts["large_objects"] else "same"


def _headline(facts: Facts, called: Mapping[str, str]) -> str:
    tables = [one for one in facts["tables"] if one["state"] in ("different", "new", "old")]
    unknown = sum(one["state"] == "unknown" for one in facts["tables"])
    parts = []
    if tables:
        total = {what: sum(one.get(what, 0) for one in tables) for what in ("only_new", "only_old", "different")}
        counts = [f"{_many(total['only_new'], 'row')} only in {called['new']}"] if total["only_new"] else []
        counts += [f"{_many(total['only_old'], 'row')} only in {called['old']}"] if total["only_old"] else []
        counts += [f"{_many(total['different'], 'row')} different"] if total["different"] else []
        for word in ("new", "old"):
            alone = sum(one.get("columns", {}).get(word, 0) for one in tables)
            counts += [f"{_many(alone, 'column')} only in {called[word]}"] if alone else []
        parts.append(f"{_many(len(tables), 'TABLE')} {_differ(len(tables))}: {', '.join(counts) or 'no rows'}")
    if facts["objects"]:
        parts.append(f"{_many(len(facts['objects']), 'OBJECT')} {_differ(len(facts['objects']))}")
    far = Counter(one["state"] for one in facts["sequences"])
    if far["different"]:
        parts.append(f"{_many(far['different'], 'SEQUENCE')} {_differ(far['different'])}")
    if far["unknown"]:
        parts.append(f"{_many(far['unknown'], 'SEQUENCE')} UNKNOWN")
    if unknown:
        parts.append(f"{_many(unknown, 'TABLE')} UNKNOWN")
    if facts["large_objects"]:
        counted = facts["large_objects"]
        parts.append(
            f"LARGE OBJECTS UNKNOWN, they are not compared: {counted['new']:,} in {called['new']},"
            f" {counted['old']:,} in {called['old']}"
        )
    if parts:
        return "; ".join(parts)
    what = f"{_many(facts['same_tables'], 'table')}, {facts['same_rows']:,} rows" if facts["rows_compared"] else ""
    return "SAME: " + ", ".join([*filter(None, [what]), *(["all objects"] if facts["compared_objects"] else [])])


def _when(facts: Facts, called: Mapping[str, str]) -> str:
    at = [
        f"{called[word]} as of {local(facts['as_of'][word]) if facts['as_of'][word] else 'an unknown time (a standby)'}"
        for word in ("new", "old")
    ]
    return f"{'; '.join(at)}; {human_seconds(facts['seconds'])}"


def _add_tables(page: Page, tables: Sequence[Facts], called: Mapping[str, str]) -> None:
    differing = [one for one in tables if one["state"] in ("different", "new", "old")]
    if differing:
        counted = [f"Only in {called['new']}", f"Only in {called['old']}", "Different", "Same"]
        rows = [
            (one["table"], *(f"{one.get(what, 0):,}" for what in ("only_new", "only_old", "different", "same")))
            for one in differing
        ]
        page.table(("Table", *counted), rows, right=counted)
    for one in differing:
        if one["state"] != "different":
            page.line(f"{one['table']}: the table is only in {called[one['state']]}")
        for sample in one.get("samples", ()):
            page.line(_cut(f"  {one['table']}  {_sample(sample, called)}"), style="quiet")
    for one in tables:
        if one["state"] == "unknown":
            page.line(f"unknown: {one['table']}: {one['reason']}", style="bad")
        for note in one.get("notes", ()):
            if one["state"] != "unknown":
                page.note(f"{one['table']}: {note}")


def _sample(sample: Facts, called: Mapping[str, str]) -> str:
    kind, values, was = sample["kind"], sample["values"], sample.get("was")
    if was is None:
        told = " ".join(f"{name}={_short(value)}" for name, value in values.items())
        return f"different  {told}" if kind == "different" else f"only in {called[kind]}  {told}"
    key = [f"{name}={_short(value)}" for name, value in values.items() if name not in was]
    changed = [
        f"{name}: {_short(was[name])} in {called['old']}, {_short(values[name])} in {called['new']}" for name in was
    ]
    return f"different  {' '.join(key)} {'; '.join(changed) or '(in a form that is not shown)'}"


def _add_objects(page: Page, objects: Sequence[Facts], called: Mapping[str, str]) -> None:
    for one in objects[:_OBJECTS]:
        where = "different" if one["state"] == "different" else f"only in {called[one['state']]}"
        page.line(f"{one['kind']} {one['name']}: {where}")
        if one["state"] == "different" and one.get("new") is not None:
            for line in _changed(one["new"], one["old"], called):
                page.line(_cut(f"    {line}"), style="quiet")
    if len(objects) > _OBJECTS:
        page.line(f"and {len(objects) - _OBJECTS:,} more objects: --json has all of them")


def _changed(new: str, old: str, called: Mapping[str, str]) -> Iterator[str]:
    """Two definitions: as they are where each is a line, else the lines that differ."""
    if "\n" not in new + old:
        yield f"{called['old']}: {old or '(nothing)'}"
        yield f"{called['new']}: {new or '(nothing)'}"
        return
    lines = [
        one
        for one in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
        if one[:1] in "+-" and not one.startswith(("---", "+++"))
    ]
    yield f"- {called['old']}, + {called['new']}"
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"and {len(lines) - _LINES} more lines"


def _cut(text: str) -> str:
    plain = "".join(one if one.isprintable() else " " for one in text)
    return plain if len(plain) <= _WIDE else f"{plain[: _WIDE - 3]}..."


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    return value if len(value) <= _VALUE else f"{value[: _VALUE - 3]}..."


def _position(far: Facts | None) -> str:
    if far is None:
        return "not known"
    return f"{far['value']:,}" if far["used"] else f"never used, begins with {far['value']:,}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 'S' if noun.isupper() else 's'}"


def _differ(number: int) -> str:
    return "DIFFERS" if number == 1 else "DIFFER"
