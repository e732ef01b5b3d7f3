"""The manual on a terminal, section by section, in at most 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import human_seconds
from tabsync.manual.check import IsBuilt
from tabsync.manual.model import Bound, Command, Manual, Metric, Runbook, Step, StepKind, Unit

NOT_BUILT = "not built yet"


def sections() -> tuple[str, ...]:
    """The names that `manual show` takes, besides the title of a runbook."""
    return tuple(_SECTIONS)


def render(manual: Manual, section: str | None, is_built: IsBuilt) -> RenderableType:
    """A section, or everything in short when section is None.

    section: a name of sections(), or a runbook's title, in any case. Raises BadUsage when there is neither.
    """
    if section is None:
        return _overview(manual)
    name = section.lower().replace(" ", "-")
    if name in _SECTIONS:
        return _SECTIONS[name](manual, is_built)
    runbook = manual.runbook(section)
    if runbook is None:
        known = ", ".join(_SECTIONS)
        raise BadUsage(f"the manual has no section and no runbook {section!r}", f"sections: {known}")
    return _runbook(runbook, is_built)


def as_json(manual: Manual, section: str | None) -> dict[str, Any]:
    """The same as JSON: the whole model, or the one section of it."""
    whole = manual.model_dump(mode="json")
    if section is None:
        return whole
    name = section.lower().replace(" ", "-")
    if name in _SECTIONS:
        field = name.replace("-", "_")
        return {"digest": manual.digest, field: whole[field]}
    runbook = manual.runbook(section)
    if runbook is None:
        known = ", ".join(_SECTIONS)
        raise BadUsage(f"the manual has no section and no runbook {section!r}", f"sections: {known}")
    return {"digest": manual.digest, "runbook": runbook.model_dump(mode="json")}


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column == "Line" else "left")
    return table


def _overview(manual: Manual) -> RenderableType:
    table = _table("Section", "Entries")
    for name in _SECTIONS:
        value = getattr(manual, name.replace("-", "_"))
        entries = len(value) if isinstance(value, tuple) else len(_parts(value))
        table.add_row(name, str(entries))
    return Group(Text(manual.title, style="bold"), table, Text("One of them: tabsync manual show SECTION"))


def _parts(value: Any) -> tuple[Any, ...]:
    """What is counted in a section that is not a list: roles, features, the two targets."""
    for field in ("roles", "features"):
        if hasattr(value, "features") and field == "roles":
            continue
        if hasattr(value, field):
            return tuple(getattr(value, field))
    return () if value is None else (value.rto, value.rpo)


def _targets(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Target", "Under", "Note", "Line")
    if manual.targets:
        for name, target in (("RTO", manual.targets.rto), ("RPO", manual.targets.rpo)):
            table.add_row(name, human_seconds(target.value.total_seconds()), target.note, str(target.line))
    return table


def _retention(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Class", "What", "Frequency", "Kept", "Stores", "Line")
    for one in manual.retention:
        kept = human_seconds(one.retention.total_seconds())
        table.add_row(one.name, one.what, one.frequency, kept, ", ".join(one.stores), str(one.line))
    return table


def _hierarchy(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Role", "Note", "Line")
    depth: dict[str | None, int] = {None: -1}
    for role in manual.hierarchy.roles:
        depth[role.name] = depth[role.parent] + 1
        table.add_row("  " * depth[role.name] + role.name, role.note, str(role.line))
    return table


def _permissions(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Feature", *(role.replace("_", " ") for role in manual.permissions.roles))
    for feature in manual.permissions.features:
        marks = ("yes" if feature.allowed.get(role) else "no" for role in manual.permissions.roles)
        table.add_row(feature.name, *marks)
    return table


def unit_text(unit: Unit) -> str:
    """A unit as people say it: 'connections', 'payments per hour', 'seconds'."""
    return " per ".join(filter(None, (unit.noun or unit.kind, unit.per)))


def _metrics(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Metric", "Unit", "Every", "Warning", "Critical", "Line")
    for metric in manual.metrics:
        bounds = manual.thresholds_of(metric.title)
        warning, critical = (bounds[0].warning, bounds[0].critical) if bounds else (None, None)
        every = human_seconds(metric.every.total_seconds())
        table.add_row(metric.title, unit_text(metric.unit), every, _bound(warning), _bound(critical), _line(metric))
    return table


def _line(entry: Metric) -> str:
    return str(entry.line)


def _bound(bound: Bound | None) -> str:
    return bound.text if bound else "—"


def _thresholds(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Metric", "Warning", "Critical", "For", "Action", "Runbook", "Line")
    for row in manual.thresholds:
        held = human_seconds(row.for_.total_seconds()) if row.for_ else "—"
        warning, critical = _bound(row.warning), _bound(row.critical)
        table.add_row(row.metric, warning, critical, held, row.action, row.runbook or "—", str(row.line))
    return table


def _key_tables(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Table", "Note", "Line")
    for one in manual.key_tables:
        table.add_row(one.name, one.note, str(one.line))
    return table


def _runbooks(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Runbook", "Chapter", "Steps", "Not built yet", "Line")
    for one in manual.runbooks:
        open_steps = sum(not _built(step.commands, is_built) for step in one.steps)
        table.add_row(one.title, one.chapter, str(len(one.steps)), str(open_steps or "—"), str(one.line))
    return table


def _built(commands: tuple[Command, ...], is_built: IsBuilt) -> bool:
    return all(is_built(command.words) for command in commands)


def _runbook(runbook: Runbook, is_built: IsBuilt) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{runbook.title} (line {runbook.line})", style="bold")]
    if runbook.symptoms:
        parts.append(Text(f"Symptoms: {runbook.symptoms}"))
    if runbook.prose:
        parts.append(Text(runbook.prose))
    for step in runbook.steps:
        parts += _step(step, is_built)
    return Group(*parts)


def _step(step: Step, is_built: IsBuilt) -> Iterator[RenderableType]:
    done_by = {StepKind.HUMAN: " (a person does this)", StepKind.SHELL: " (typed by a person)"}.get(step.kind, "")
    missing = "" if _built(step.commands, is_built) else f" ({NOT_BUILT})"
    yield Text(f"{step.number}. {step.text}{done_by}{missing}")
    if step.commands:
        yield Padding(Text("\n".join(f"tabsync {command.text}" for command in step.commands), style="cyan"), (0, 4))
    elif step.block:
        yield Padding(Text(step.block, style="cyan"), (0, 4))


def _contacts(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Role", "Contact", "Availability", "Line")
    for one in manual.contacts:
        table.add_row(one.role, one.address, one.availability, str(one.line))
    return table


def _checklists(manual: Manual, is_built: IsBuilt) -> RenderableType:
    parts: list[RenderableType] = []
    for one in manual.checklists:
        parts.append(Text(f"{one.title} (line {one.line})", style="bold"))
        parts += [Text(f"[ ] {item.text}") for item in one.items]
    return Group(*parts)


def _schedule(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("When", "What", "How", "Line")
    for item in manual.schedule:
        how = "a person" if item.command is None else "tabsync" if is_built(item.command.words) else NOT_BUILT
        table.add_row(item.frequency, item.text, how, str(item.line))
    return table


def _enum_labels(manual: Manual, is_built: IsBuilt) -> RenderableType:
    table = _table("Type", "Label", "State", "Note", "Line")
    for one in manual.enum_labels:
        table.add_row(one.type, one.label, one.state, one.note, str(one.line))
    return table


_SECTIONS: dict[str, Callable[[Manual, IsBuilt], RenderableType]] = {
    "targets": _targets,
    "retention": _retention,
    "hierarchy": _hierarchy,
    "permissions": _permissions,
    "metrics": _metrics,
    "thresholds": _thresholds,
    "key-tables": _key_tables,
    "runbooks": _runbooks,
    "contacts": _contacts,
    "checklists": _checklists,
    "schedule": _schedule,
    "enum-labels": _enum_labels,
}
