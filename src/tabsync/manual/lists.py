"""The sections that are lists or prose: targets, roles, key tables, checklists, schedule."""

from __future__ import annotations

import re
from datetime import date

from markdown_it.tree import SyntaxTreeNode

from tabsync.manual.almost import almost
from tabsync.manual.model import Hierarchy, KeyTable, Role, Target, Targets
from tabsync.manual.parts import Checklist, ChecklistItem, Command, Document
from tabsync.manual.sections import Problem, Section, items_of, line_of, normalized, unnumbered
from tabsync.manual.steps import parse_command
from tabsync.manual.tables import duration_in
from tabsync.manual.terms import ScheduleItem, Terms, parse_terms
from tabsync.manual.when import When, parse_when

_TARGET = re.compile(r"\b(RTO|RPO)\b[^<:]*:\s*(?:<|under|less than)?\s*([\d.]+\s*[a-z]+)\s*(.*)", re.IGNORECASE)
_ROLE = re.compile(r"(?P<indent>[\s│├└─|`+-]*)(?P<name>\w+)\s*(?:[#(—:-]\s*(?P<note>.*?)\)?)?\s*")
_BOX = re.compile(r"\[[ xX]\]\s+(.*)", re.DOTALL)
_FREQUENCY_EXPECTED = (
    "'Daily, 02:00-05:00 Europe/Berlin', 'Weekly, Sunday 03:00', 'Monthly', 'Every 10 minutes', 'Continuously' "
    "or 'Before ...'"
)
_TERMS_EXPECTED = "(at 02:30, within 2 hours, retry 2, on NAME, owner NAME)"


def targets(section: Section, problems: list[Problem]) -> Targets | None:
    """RTO and RPO, each an item of a list: `- **Recovery time objective (RTO)**: < 1 hour, measured by a drill`."""
    found: dict[str, Target] = {}
    for node in section.of_type("bullet_list"):
        for item, text in items_of(node):
            match = _TARGET.search(text)
            value = duration_in(match[2], line_of(item), problems) if match else None
            if match and value is not None:
                note = match[3].strip(" .,;()")
                found[match[1].upper()] = Target(value=value, note=note, line=line_of(item))
    for name in ("RTO", "RPO"):
        if name not in found:
            problems.append(Problem(section.line, f"no {name} among the targets", f"'- {name}: < 1 hour'"))
    return Targets(rto=found["RTO"], rpo=found["RPO"]) if len(found) == 2 else None


def hierarchy(section: Section, problems: list[Problem]) -> Hierarchy:
    """The tree of roles, drawn as text in a block or as a nested list; `# ...` after a role is its note."""
    lines: list[tuple[int, str]] = []
    for node in section.of_type("fence", "code_block", "bullet_list"):
        if node.type == "bullet_list":
            lines += _drawn(node, 0)
        else:
            start = line_of(node) + (node.type == "fence")
            lines += list(enumerate(node.content.split("\n"), start=start))
    roles: list[Role] = []
    stack: list[tuple[int, str]] = []
    for line, text in lines:
        match = _ROLE.fullmatch(text)
        if not text.strip():
            continue
        if match is None:
            problems.append(Problem(line, f"{text.strip()!r} is not a role", "one role a line, '# note' after it"))
            continue
        depth = len(match["indent"])
        stack = [entry for entry in stack if entry[0] < depth]
        if any(role.name == match["name"] for role in roles):
            problems.append(Problem(line, f"the role {match['name']} is listed twice", "each role once"))
            continue
        parent = stack[-1][1] if stack else None
        roles.append(Role(name=match["name"], parent=parent, note=match["note"] or "", line=line))
        stack.append((depth, match["name"]))
    if not roles:
        problems.append(Problem(section.line, f"no roles under {section.title!r}", "a nested list or a drawn tree"))
    return Hierarchy(roles=tuple(roles))


def _drawn(node: SyntaxTreeNode, depth: int) -> list[tuple[int, str]]:
    lines = []
    for item, text in items_of(node):
        lines.append((line_of(item), " " * depth + text))
        for child in item.children:
            if child.type == "bullet_list":
                lines += _drawn(child, depth + 1)
    return lines


def key_tables(section: Section, problems: list[Problem]) -> tuple[KeyTable, ...]:
    """The tables that must be readable: a list whose items begin with the name in backticks."""
    tables = []
    for node in section.of_type("bullet_list"):
        for item, text in items_of(node):
            name, note = _leading_code(item), text
            if not name:
                problems.append(Problem(line_of(item), f"{text!r} names no table", "the table's name in backticks"))
                continue
            note = text.removeprefix(name).strip(" :,—-")
            tables.append(KeyTable(name=name, note=note, line=line_of(item)))
    if not tables:
        problems.append(Problem(section.line, f"no tables under {section.title!r}", "a list such as '- `users`'"))
    return tuple(tables)


def _leading_code(item: SyntaxTreeNode, starts: str = "") -> str:
    """The first code in backticks of an item that starts with a text, or ""."""
    for node in item.walk():
        if node.type == "code_inline" and node.content.startswith(starts):
            return node.content
    return ""


def checklist(section: Section) -> Checklist | None:
    """The boxes directly under a heading, or None when there are none."""
    items = []
    for node in section.of_type("bullet_list"):
        for item, text in items_of(node):
            if match := _BOX.fullmatch(text):
                items.append(ChecklistItem(text=match[1], line=line_of(item)))
    return Checklist(title=section.title, items=tuple(items), line=section.line) if items else None


def schedule(section: Section, problems: list[Problem]) -> tuple[ScheduleItem, ...]:
    """The items under one frequency of the schedule."""
    when = None
    try:
        when = parse_when(unnumbered(section.title))
    except ValueError as error:
        told = f"the schedule names an unknown frequency {section.title!r}: {error}"
        problems.append(Problem(section.line, told, _FREQUENCY_EXPECTED))
    items = []
    for node in section.of_type("bullet_list"):
        for item, text in items_of(node):
            code = _leading_code(item, "tabsync ")
            command = _schedule_command(code, line_of(item), problems) if code else None
            codes = [one.content for one in item.walk() if one.type == "code_inline"]
            problems += almost(text, codes, line_of(item))
            whole, terms = _terms(text, when, line_of(item), problems)
            due = _moved(when, terms, line_of(item), problems)
            items.append(
                ScheduleItem(
                    frequency=when.name if when else normalized(section.title),
                    text=whole,
                    command=command,
                    when=due,
                    terms=terms,
                    line=line_of(item),
                )
            )
    return tuple(items)


def _terms(text: str, when: When | None, line: int, problems: list[Problem]) -> tuple[str, Terms]:
    try:
        whole, terms = parse_terms(text)
    except ValueError as error:
        problems.append(Problem(line, f"what is in brackets is not understood: {error}", _TERMS_EXPECTED))
        return text, Terms()
    if when and when.period and terms.within and terms.within > when.period:
        what = f"within {terms.within} seconds is longer than the time until it is due again"
        problems.append(Problem(line, what, "a shorter time"))
    return whole, terms


def _moved(when: When | None, terms: Terms, line: int, problems: list[Problem]) -> When | None:
    """When an item is due that has a time of its own."""
    if when is None or terms.at is None:
        return when
    try:
        return when.moved_to(terms.at)
    except ValueError as error:
        problems.append(Problem(line, f"at {terms.at:%H:%M}: {error}", "a time of day within that of the heading"))
        return when


def _schedule_command(code: str, line: int, problems: list[Problem]) -> Command | None:
    try:
        return parse_command(code, line)
    except ValueError as error:
        problems.append(Problem(line, f"the command {code!r} can't be read: {error}", "a tabsync command"))
        return None


def document(section: Section, problems: list[Problem]) -> Document:
    """The edition: a list with Version, Last updated, Next review."""
    found: dict[str, tuple[str, int]] = {}
    for node in section.of_type("bullet_list"):
        for item, text in items_of(node):
            name, _, value = text.partition(":")
            found[name.strip().lower()] = (value.strip(), line_of(item))
    dates: dict[str, date | None] = {}
    for key in ("last updated", "next review"):
        text, line = found.get(key, ("", section.line))
        try:
            dates[key] = date.fromisoformat(text)
        except ValueError:
            problems.append(Problem(line, f"{key} is {text!r}", "a date such as 2026-03-27"))
            dates[key] = None
    return Document(
        version=found.get("version", ("", 0))[0],
        updated=dates["last updated"],
        next_review=dates["next review"],
        line=section.line,
    )
