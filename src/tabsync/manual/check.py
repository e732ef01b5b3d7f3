"""Everything that is wrong with a manual, at once. What the parser could not read is in its own list of problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from tabsync.manual.check_schedule import Commands, check_schedule
from tabsync.manual.check_wiring import check_wiring
from tabsync.manual.left_open import with_any_value, wrong_in
from tabsync.manual.model import Manual, Metric, StepKind, Threshold
from tabsync.manual.parts import BOX_FACTS, BY, Bound, Command
from tabsync.manual.sections import Problem
from tabsync.manual.thresholds import comparable, is_milder
from tabsync.postgres.readonly_text import check_readonly, check_sql

IsBuilt = Callable[[Sequence[str]], bool]
WrongUsage = Callable[[Sequence[str]], str]
Exists = Callable[[str], bool]

_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|[/#?]", re.IGNORECASE)  # with a scheme, from a root, or within the page
_NOT_YET = "not written yet"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. not_built: commands the manual names and this version doesn't have; they are no problem."""

    problems: tuple[Problem, ...]
    procedures: int
    not_built: tuple[Command, ...]


def _no_usage(words: Sequence[str]) -> str:
    return ""


def _all_there(target: str) -> bool:
    return True


def check(
    manual: Manual,
    is_built: IsBuilt,
    *,
    parsed: Iterable[Problem] = (),
    wrong_usage: WrongUsage = _no_usage,
    commands: Commands | None = None,
    exists: Exists = _all_there,
) -> Report:
    """Check a manual that was parsed.

    is_built: whether this version has the command; parsed: the parser's own problems, to be listed with these;
    wrong_usage: what is wrong with the options and arguments of a built command, or ""; commands: what is known of
    them, without which the Schedule isn't compared with the rest; exists: whether a file is there, by its name from
    where the manual is.
    """
    problems = [*parsed, *_duplicates(manual), *_thresholds(manual), *_roles(manual), *_sql(manual)]
    problems += _recoveries(manual)
    problems += check_wiring(manual)
    problems += _severities(manual)
    problems += _boxes(manual)
    problems += _links(manual, exists)
    problems += check_schedule(manual, commands) if commands else ()
    named = list(manual.commands())
    not_built = tuple(command for command in named if not is_built(command.words))
    for command in named:
        told = "" if command in not_built else wrong_usage(command.words)
        if told:
            problems.append(Problem(command.line, f"`tabsync {command.text}`: {told}", "what its --help shows"))
    return Report(tuple(sorted(set(problems), key=lambda one: (one.line, one.what))), len(named), not_built)


def _severities(manual: Manual) -> Iterator[Problem]:
    roles = {one.role.lower() for one in manual.contacts}
    for row in manual.severities:
        for name in row.told:
            if name.lower() not in roles:
                yield Problem(row.line, f"told: there is no contact {name!r}", "roles of the Contacts, or —")


def _boxes(manual: Manual) -> Iterator[Problem]:
    for checklist in manual.checklists:
        for item in checklist.items:
            match = BY.search(item.text)
            if match and match[1] not in BOX_FACTS:
                yield Problem(item.line, f"(by: {match[1]}) is no fact that is known", ", ".join(BOX_FACTS))


def _duplicates(manual: Manual) -> Iterator[Problem]:
    titled = {
        "metric": [(metric.title, metric.line) for metric in manual.metrics],
        "runbook": [(runbook.title, runbook.line) for runbook in manual.runbooks],
        "retention class": [(one.name, one.line) for one in manual.retention],
        "key table": [(table.name, table.line) for table in manual.key_tables],
        "feature": [(feature.name, feature.line) for feature in manual.permissions.features],
        "contact": [(contact.role, contact.line) for contact in manual.contacts],
    }
    for kind, entries in titled.items():
        first: dict[str, int] = {}
        for title, line in entries:
            if title.lower() in first:
                what = f"the {kind} {title!r} is already on line {first[title.lower()]}"
                yield Problem(line, what, "each title once")
            first.setdefault(title.lower(), line)


def _thresholds(manual: Manual) -> Iterator[Problem]:
    for row in manual.thresholds:
        yield from _bounds(manual, row)
        if row.runbook and manual.runbook(row.runbook) is None:
            yield Problem(row.line, f"there is no runbook {row.runbook!r}", "the title of a runbook, or '—'")
        known = {one.role.lower() for one in manual.contacts} | {"nobody"}
        for name in row.tell:
            if name.lower() not in known:
                yield Problem(row.line, f"tell: there is no contact {name!r}", "roles of the Contacts, or 'nobody'")


def _bounds(manual: Manual, row: Threshold) -> Iterator[Problem]:
    if row.warning is None and row.critical is None:
        yield Problem(
            row.line, f"the threshold on {row.metric!r} has no bound", "a bound for warning, for critical, or for both"
        )
    if row.warning and row.critical and not is_milder(row.warning, row.critical):
        what = f"warning {row.warning.text!r} is not below critical {row.critical.text!r}"
        yield Problem(row.line, what, "the bound for warning is reached first, in the same direction")
    metric = manual.metric(row.metric)
    if metric is None:
        yield Problem(row.line, f"a threshold on the unknown metric {row.metric!r}", "the title of a metric")
        return
    yield from _units([bound for bound in (row.warning, row.critical) if bound], metric, row.line)


def _units(bounds: Iterable[Bound], metric: Metric, line: int) -> Iterator[Problem]:
    for bound in bounds:
        for comparison in bound.comparisons:
            if not comparable(comparison.unit, metric.unit):
                unit = " per ".join(filter(None, (metric.unit.kind, metric.unit.per)))
                what = f"the bound {bound.text!r} is not in the unit of {metric.title!r}"
                yield Problem(line, what, f"{unit}, or percent")


def _recoveries(manual: Manual) -> Iterator[Problem]:
    for runbook in manual.runbooks:
        for one in runbook.recovers:
            metric = manual.metric(one.metric)
            if metric is None:
                yield Problem(one.line, f"Recovers: there is no metric {one.metric!r}", "the title of a metric")
            else:
                yield from _units([one.bound], metric, one.line)


def _roles(manual: Manual) -> Iterator[Problem]:
    known = manual.hierarchy.names()
    for role in manual.permissions.roles:
        if role not in known:
            what = f"the role {role!r} is not in the hierarchy"
            yield Problem(manual.permissions.line, what, "a role of the hierarchy")
    for name in known:
        if manual.permissions.roles and name not in manual.permissions.roles:
            line = next(role.line for role in manual.hierarchy.roles if role.name == name)
            yield Problem(line, f"the role {name!r} has no column in the permission matrix", "a column for every role")


def _links(manual: Manual, exists: Exists) -> Iterator[Problem]:
    for link in manual.links:
        path = unquote(re.split("[?#]", link.target)[0])
        if _ELSEWHERE.match(link.target) or not path or exists(path) or _NOT_YET in link.beside.lower():
            continue
        yield Problem(link.line, f"the link {path} leads to no file", f"a file, or the words {_NOT_YET!r} beside it")


def _sql(manual: Manual) -> Iterator[Problem]:
    for metric in manual.metrics:
        queries = () if metric.source else ((0, metric.sql, metric.sql_line), *metric.newer)
        for _, text, line in queries:
            for told in check_readonly(text):
                yield Problem(line, f"the metric {metric.title!r}: {told}", "one read-only statement")
    for own in manual.procedures:
        for text, line in ((own.sql, own.sql_line), (own.undo, own.undo_line)):
            for told in (wrong_in(text), *check_sql(with_any_value(text))):
                if told:
                    yield Problem(line, f"the procedure {own.title!r}: {told}", "SQL that PostgreSQL can read")
    for runbook in manual.runbooks:
        for step in runbook.steps:
            where = f"step {step.number} of {runbook.title!r}"
            if step.kind in (StepKind.SQL, StepKind.SQL_WRITE) and (told := wrong_in(step.block)):
                yield Problem(step.block_line, f"{where}: {told}", "<name> by itself, or '<name>'")
            if step.kind is StepKind.SQL:
                for told in check_readonly(with_any_value(step.block)):
                    yield Problem(step.block_line, f"{where}: {told}", "one read-only statement, or 'sql write'")
            elif step.kind is StepKind.SQL_WRITE:
                for told in check_sql(with_any_value(step.block)):
                    yield Problem(step.block_line, f"{where}: {told}", "SQL that PostgreSQL can read")
