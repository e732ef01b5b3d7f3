"""Markdown -> Manual. Sections are recognised by their heading, and the parse never stops at the first problem."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from tabsync.manual import audit, lists, severities, tables
from tabsync.manual.contacts import contacts
from tabsync.manual.metrics import metric
from tabsync.manual.model import Manual
from tabsync.manual.own_procedures import own_procedure
from tabsync.manual.parts import Heading, Link
from tabsync.manual.runbooks import runbook
from tabsync.manual.sections import Problem, Section, links_of, normalized, split, unclosed_fences

HEADINGS: dict[str, tuple[str, ...]] = {
    "targets": ("targets", "recovery targets", "rto/rpo targets"),
    "retention": ("retention", "backup retention", "backup retention policy"),
    "hierarchy": ("role hierarchy", "current role hierarchy"),
    "permissions": ("permission matrix", "role permissions matrix", "permissions"),
    "metrics": ("metrics", "key metrics to monitor"),
    "thresholds": ("thresholds", "alert thresholds"),
    "key_tables": ("key tables",),
    "runbooks": ("runbooks",),
    "contacts": ("contacts", "emergency contacts"),
    "schedule": ("schedule", "maintenance schedule"),
    "enum_labels": ("enum labels",),
    "audit": ("audit", "audit log"),
    "users": ("users",),
    "severities": ("severities", "incident severities"),
    "procedures": ("procedures",),
    "document": ("document",),
}
"""The headings (in lower case) by which each kind of section is recognised."""

REQUIRED = ("targets", "retention", "metrics", "thresholds", "key_tables", "runbooks", "contacts", "schedule")
"""The sections without which the program has no policy to follow."""

KIND_OF = {title: kind for kind, titles in HEADINGS.items() for title in titles}

ONE_FUNCTION = {
    "targets": lists.targets,
    "retention": tables.retention,
    "hierarchy": lists.hierarchy,
    "permissions": tables.permissions,
    "thresholds": tables.thresholds,
    "key_tables": lists.key_tables,
    "contacts": contacts,
    "enum_labels": tables.enum_labels,
    "audit": audit.audit,
    "users": audit.users,
    "severities": severities.severities,
    "document": lists.document,
}
"""The sections read by themselves. Metrics, runbooks and the schedule stand under the headings below theirs."""

ONLY_WITH_TABLE = ("audit", "users", "severities")
"""Under these headings many a manual has had prose, and stays valid."""

GATHERED = ("metrics", "runbooks", "procedures", "checklists", "schedule")
"""What several sections add to."""


@dataclass(slots=True)
class _Draft:
    """The manual while it is being read. seen: the line of each kind of section."""

    values: dict[str, Any] = field(default_factory=dict)
    gathered: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in GATHERED})
    seen: dict[str, int] = field(default_factory=dict)


def parse(text: str) -> tuple[Manual, list[Problem]]:
    """Read a manual; returns what could be understood and every problem found, by line."""
    problems: list[Problem] = []
    tree, sections = split(text)
    for line in unclosed_fences(tree, text):
        problems.append(Problem(line, "this block is never closed", "a line with the same fence after it"))
    draft = _Draft()
    for section in sections:
        _read(section, draft, problems)
    for kind in REQUIRED:
        if kind not in draft.seen:
            problems.append(
                Problem(1, f"there is no section {HEADINGS[kind][0].capitalize()!r}", "a heading of that name")
            )
    found = {
        "title": sections[0].title if sections else "",
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "headings": tuple(Heading(title=one.title, level=one.level, line=one.line) for one in sections),
        "links": tuple(Link(target=target, beside=beside, line=line) for target, beside, line in links_of(tree)),
    }
    manual = Manual.model_validate(found | draft.values | draft.gathered)
    return manual, sorted(problems, key=lambda problem: problem.line)


def _read(section: Section, draft: _Draft, problems: list[Problem]) -> None:
    """One section: by its own heading, or by the heading that holds it, or by what stands in it."""
    kind = KIND_OF.get(section.key)
    if kind in ONLY_WITH_TABLE and not audit.has_table(section):
        kind = None
    if kind is not None:
        if kind in draft.seen:
            what = f"a second section {section.title!r}, the first is on line {draft.seen[kind]}"
            problems.append(Problem(section.line, what, "each kind of section once"))
            return
        draft.seen[kind] = section.line
        if kind in ONE_FUNCTION:
            draft.values[kind] = ONE_FUNCTION[kind](section, problems)
            return
    holders = {KIND_OF.get(normalized(title)) for title in section.above}
    if "schedule" in holders:
        draft.gathered["schedule"] += lists.schedule(section, problems)
        return
    if "metrics" in holders and (found := metric(section, problems)):
        draft.gathered["metrics"].append(found)
        return
    if "procedures" in holders and (own := own_procedure(section, problems)):
        draft.gathered["procedures"].append(own)
        return
    _read_procedure(section, draft, problems, expected="runbooks" in holders)


def _read_procedure(section: Section, draft: _Draft, problems: list[Problem], *, expected: bool) -> None:
    """Numbered lists and boxes count under any heading; a heading among the runbooks must have steps."""
    found = runbook(section, problems)
    if found is not None:
        draft.gathered["runbooks"].append(found)
    elif expected:
        problems.append(Problem(section.line, f"the runbook {section.title!r} has no steps", "a numbered list"))
    checklist = lists.checklist(section)
    if checklist is not None:
        draft.gathered["checklists"].append(checklist)
