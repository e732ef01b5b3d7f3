"""What a manual says, typed. Every value keeps the line (from 1) where it stands, so that anything can point at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from tabsync.manual.parts import (
    Bound,
    Checklist,
    Command,
    Document,
    EnumLabel,
    Heading,
    Link,
    Policy,
    Unit,
)
from tabsync.manual.people import Contact, IncidentSeverity, severities_by_default
from tabsync.manual.terms import ScheduleItem
from tabsync.manual.wiring import Audit, UserWiring


class Target(Policy):
    """A promise such as RTO: under this duration."""

    value: timedelta
    note: str
    line: int


class Targets(Policy):
    """rto: time until the service is back; rpo: how much of the newest data may be lost."""

    rto: Target
    rpo: Target


class RetentionClass(Policy):
    """One row of the retention table."""

    name: str
    what: str
    frequency: str
    retention: timedelta
    stores: tuple[str, ...]
    line: int


class Role(Policy):
    """A role and the one directly above it (None at the top)."""

    name: str
    parent: str | None
    note: str
    line: int


class Hierarchy(Policy):
    """A partial order of roles: siblings are not comparable."""

    roles: tuple[Role, ...] = ()

    def names(self) -> tuple[str, ...]:
        """The roles, as the manual lists them."""
        return tuple(role.name for role in self.roles)

    def above(self, higher: str, lower: str) -> bool:
        """Whether `higher` stands strictly above `lower`. False for unknown roles, siblings and a role itself."""
        parents = {role.name: role.parent for role in self.roles}
        parent = parents.get(lower)
        while parent is not None and parent != higher:
            parent = parents.get(parent)
        return parent is not None


class Feature(Policy):
    """One row of the permission matrix."""

    name: str
    allowed: dict[str, bool]
    line: int


class Permissions(Policy):
    """The permission matrix."""

    roles: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    line: int = 0

    def allows(self, feature: str, role: str) -> bool:
        """Whether a role may use a feature; raises KeyError when the matrix has no such cell."""
        for row in self.features:
            if row.name == feature:
                return row.allowed[role]
        raise KeyError(feature)


class Metric(Policy):
    """A measurement.

    sql gives one row with `value` (and `of`, what it is a part of), or several rows with `label` besides.
    of: the denominator that the manual declares, in the metric's unit; of_source: what tabsync has to ask for it
    instead ("disk"), "" if nothing; of_line: the line that speaks of it, 0 if none.
    no_rows_ok: whether it is in order that there is nothing to measure (no standby, no order yet); gone_ok: whether a
    label that isn't there any more is in order: a slot that was dropped, but no standby that was cut off.
    source: what tabsync itself knows, instead of a query; "" where there is one; newer: queries for newer servers, by
    the major version from which each applies.
    """

    title: str
    unit: Unit
    sql: str
    source: str = ""
    prose: str
    every: timedelta
    of: float | None
    of_line: int
    no_rows_ok: bool
    line: int
    sql_line: int
    newer: tuple[tuple[int, str, int], ...] = ()
    gone_ok: bool = False
    of_source: str = ""

    def sql_for(self, major: int) -> str:
        """The query for a server of a major version: that of the newest version that it has reached."""
        return next((text for since, text, _ in sorted(self.newer, reverse=True) if since <= major), self.sql)


class Threshold(Policy):
    """One row of the thresholds.

    for_: how long a bound must hold before anyone is told; runbook: its title or ""; leave_warning, leave_critical:
    what must hold for it to go on, once it has been reached; tell: roles of contacts, () for those who are told of its
    severity, ("nobody",) for nobody.
    """

    metric: str
    warning: Bound | None
    critical: Bound | None
    for_: timedelta
    action: str
    runbook: str
    line: int
    leave_warning: Bound | None = None
    leave_critical: Bound | None = None
    tell: tuple[str, ...] = ()


class KeyTable(Policy):
    """A table without which the service does not work; the health check reads it."""

    name: str
    note: str
    line: int


class StepKind(StrEnum):
    """Who or what carries a step out. SHELL is shown, and typed by a person: the program runs no shell."""

    COMMAND = "command"
    SQL = "sql"
    SQL_WRITE = "sql write"
    SHELL = "shell"
    HUMAN = "human"


class Step(Policy):
    """One step of a runbook. block: the text of its fenced block; commands: what stands in a tabsync block."""

    number: int
    text: str
    kind: StepKind
    block: str
    commands: tuple[Command, ...]
    line: int
    block_line: int


class Recovery(Policy):
    """When a runbook has worked. lasting: how long its bound must hold; within: until when, after its last step."""

    metric: str
    bound: Bound
    lasting: timedelta
    within: timedelta
    text: str
    line: int


class Runbook(Policy):
    """A numbered list under a heading.

    symptoms: what it looks like from outside, a text for each line; quoted: what stands in backticks in them, which is
    what a message says word by word; recovers: what must hold when it has worked.
    """

    title: str
    chapter: str
    symptoms: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    recovers: tuple[Recovery, ...] = ()
    prose: str
    steps: tuple[Step, ...]
    line: int


class OwnProcedure(Policy):
    """A procedure that the manual brings itself. sql: what it does; undo: what takes it back; both may change data."""

    title: str
    prose: str
    sql: str
    sql_line: int
    undo: str
    undo_line: int
    line: int


class Manual(Policy):
    """The whole manual. digest: SHA-256 of the file's bytes, recorded with every run."""

    title: str = ""
    digest: str = ""
    headings: tuple[Heading, ...] = ()
    targets: Targets | None = None
    retention: tuple[RetentionClass, ...] = ()
    hierarchy: Hierarchy = Hierarchy()
    permissions: Permissions = Permissions()
    metrics: tuple[Metric, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    key_tables: tuple[KeyTable, ...] = ()
    runbooks: tuple[Runbook, ...] = ()
    contacts: tuple[Contact, ...] = ()
    procedures: tuple[OwnProcedure, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    schedule: tuple[ScheduleItem, ...] = ()
    enum_labels: tuple[EnumLabel, ...] = ()
    audit: Audit | None = None
    users: UserWiring | None = None
    severities: tuple[IncidentSeverity, ...] = ()
    document: Document = Document()
    links: tuple[Link, ...] = ()

    def commands(self) -> Iterator[Command]:
        """Every tabsync command of the manual, runbooks first, then the schedule."""
        for runbook in self.runbooks:
            for step in runbook.steps:
                yield from step.commands
        for item in self.schedule:
            if item.command is not None:
                yield item.command

    def metric(self, title: str) -> Metric | None:
        """The metric of that title, case-insensitively."""
        sought = title.lower()
        return next((metric for metric in self.metrics if metric.title.lower() == sought), None)

    def runbook(self, title: str) -> Runbook | None:
        """The runbook of that title, case-insensitively."""
        sought = title.lower()
        return next((runbook for runbook in self.runbooks if runbook.title.lower() == sought), None)

    def known_severities(self) -> tuple[IncidentSeverity, ...]:
        """The severities of incidents, the worst first; of a manual without the table, those by default."""
        return self.severities or severities_by_default(self.contacts)

    def severity(self, name: str) -> IncidentSeverity | None:
        """The severity of that name, case-insensitively."""
        return next((one for one in self.known_severities() if one.name == name.lower()), None)

    def thresholds_of(self, title: str) -> tuple[Threshold, ...]:
        """The thresholds on a metric, case-insensitively."""
        sought = title.lower()
        return tuple([row for row in self.thresholds if row.metric.lower() == sought])
