"""The manual on a terminal, section by section, in at most 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import human_seconds
from tabsync.manual.check import IsBuilt
from tabsync.manual.model import Manual, Runbook, Step, StepKind
from tabsync.manual.parts import Bound, Command, Unit

NOT_BUILT = "not built yet"
NONE = "—"


@dataclass(frozen=True, slots=True)
class Listing:
    """A section as a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def render(manual: Manual, section: str | None, is_built: IsBuilt) -> RenderableType:
    """A section, one runbook, or how much there is of everything when section is None.

    section: a name such as key-tables, or a runbook's title, in any case. Raises BadUsage when there is neither.
    """
    if section is None:
        entries = (f"{len(listing(manual, is_built).rows)}" for listing in _SECTIONS.values())
        overview = Listing(("Section", "Entries"), tuple(zip(_SECTIONS, entries, strict=True)))
        return Group(
            Text(manual.title, style="bold"), _table(overview), "To show one of them: tabsync manual show SECTION"
        )
    found = find(manual, section)
    return _runbook(found, is_built) if isinstance(found, Runbook) else _table(_SECTIONS[found](manual, is_built))


def as_json(manual: Manual, section: str | None) -> dict[str, Any]:
    """The same as JSON: the whole model, one field of it, or one runbook. Raises BadUsage as render() does."""
    if section is None:
        return manual.model_dump(mode="json")
    found = find(manual, section)
    if isinstance(found, Runbook):
        return {"digest": manual.digest, "runbook": found.model_dump(mode="json")}
    field = found.replace("-", "_")
    return {"digest": manual.digest, field: manual.model_dump(mode="json", include={field})[field]}


def find(manual: Manual, section: str) -> str | Runbook:
    """The name of a section, or the runbook of that title. Raises BadUsage when there is neither."""
    name = section.lower().replace(" ", "-").replace("_", "-")
    if name in _SECTIONS:
        return name
    runbook = manual.runbook(section)
    if runbook is None:
        fact = f"the manual has no section and no runbook {section!r}"
        raise BadUsage(fact, f"sections: {', '.join(_SECTIONS)}; the runbooks: tabsync manual show runbooks")
    return runbook


def unit_text(unit: Unit) -> str:
    """A unit as people say it: 'connections', 'payments per hour', 'seconds'."""
    return " per ".join(filter(None, (unit.noun or unit.kind, unit.per)))


def _table(listing: Listing) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in listing.columns:
        table.add_column(column, overflow="fold", justify="right" if column in ("Line", "Entries", "Steps") else "left")
    for row in listing.rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a cell such as "[x]" is no markup
    return table


def _targets(manual: Manual, is_built: IsBuilt) -> Listing:
    found = (("RTO", manual.targets.rto), ("RPO", manual.targets.rpo)) if manual.targets else ()
    rows = ((name, f"< {time_text(target.value)}", target.note, str(target.line)) for name, target in found)
    return Listing(("Target", "Bound", "Note", "Line"), tuple(rows))


def _retention(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = (
        (one.name, one.what, one.frequency, time_text(one.retention), ", ".join(one.stores), str(one.line))
        for one in manual.retention
    )
    return Listing(("Class", "What", "Frequency", "Kept", "Stores", "Line"), tuple(rows))


def _hierarchy(manual: Manual, is_built: IsBuilt) -> Listing:
    depth: dict[str | None, int] = {None: -1}
    rows = []
    for role in manual.hierarchy.roles:
        depth[role.name] = depth[role.parent] + 1
        rows.append(("  " * depth[role.name] + role.name, role.note, str(role.line)))
    return Listing(("Role", "Note", "Line"), tuple(rows))


def _permissions(manual: Manual, is_built: IsBuilt) -> Listing:
    roles = manual.permissions.roles
    rows = (
        (feature.name, *("yes" if feature.allowed.get(role) else "no" for role in roles))
        for feature in manual.permissions.features
    )
    return Listing(("Feature", *(role.replace("_", " ") for role in roles)), tuple(rows))


def _metrics(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = []
    for one in manual.metrics:
        bounds = manual.thresholds_of(one.title)
        levels = (bounds_text(row.warning for row in bounds), bounds_text(row.critical for row in bounds))
        rows.append((one.title, unit_text(one.unit), time_text(one.every), *levels, str(one.line)))
    return Listing(("Metric", "Unit", "Every", "Warning", "Critical", "Line"), tuple(rows))


def _thresholds(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = (
        (
            row.metric,
            bounds_text([row.warning]),
            bounds_text([row.critical]),
            time_text(row.for_) if row.for_ else NONE,
            row.action,
            row.runbook or NONE,
            str(row.line),
        )
        for row in manual.thresholds
    )
    return Listing(("Metric", "Warning", "Critical", "For", "Action", "Runbook", "Line"), tuple(rows))


def _key_tables(manual: Manual, is_built: IsBuilt) -> Listing:
    return Listing(("Table", "Note", "Line"), tuple((one.name, one.note, str(one.line)) for one in manual.key_tables))


def _runbooks(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = []
    for one in manual.runbooks:
        missing = sum(not _is_built(step.commands, is_built) for step in one.steps)
        told = f"{missing} {NOT_BUILT}" if missing else ""
        rows.append((one.title, one.chapter, str(len(one.steps)), told, str(one.line)))
    return Listing(("Runbook", "Chapter", "Steps", "", "Line"), tuple(rows))


def _procedures(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = ((one.title, " ".join(one.prose.split()) or NONE, str(one.line)) for one in manual.procedures)
    return Listing(("Procedure", "What it does", "Line"), tuple(rows))


def _contacts(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = (
        (one.role, one.address, one.availability, str(one.order), ", ".join(one.told_of) or NONE, one.by, str(one.line))
        for one in manual.contacts
    )
    return Listing(("Role", "Contact", "Availability", "Order", "Told of", "By", "Line"), tuple(rows))


def _severities(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = (
        (
            one.name,
            ", ".join(one.told) or NONE,
            time_text(one.every) if one.every else NONE,
            "yes" if one.post_mortem else "no",
            str(one.line) if one.line else "by default",
        )
        for one in manual.known_severities()
    )
    return Listing(("Severity", "Told", "Update every", "Post-mortem", "Line"), tuple(rows))


def _checklists(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = ((one.title, f"[ ] {item.text}", str(item.line)) for one in manual.checklists for item in one.items)
    return Listing(("Checklist", "Item", "Line"), tuple(rows))


def _schedule(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = []
    for item in manual.schedule:
        how = "a person" if item.command is None else "tabsync" if is_built(item.command.words) else NOT_BUILT
        rows.append((item.frequency, item.text, how, str(item.line)))
    return Listing(("When", "What", "By", "Line"), tuple(rows))


def _enum_labels(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = ((one.type, one.label, one.state, one.note, str(one.line)) for one in manual.enum_labels)
    return Listing(("Type", "Label", "State", "Note", "Line"), tuple(rows))


def _audit(manual: Manual, is_built: IsBuilt) -> Listing:
    rows = (
        (
            one.name,
            "must" if one.must else "when possible",
            ", ".join(one.secret) or NONE,
            time_text(one.kept) if one.kept else "for ever",
            one.entity or one.name,
            str(one.line),
        )
        for one in (manual.audit.tables if manual.audit else ())
    )
    return Listing(("Table", "Recorded", "Secret columns", "Kept", "Entity", "Line"), tuple(rows))


def _users(manual: Manual, is_built: IsBuilt) -> Listing:
    wiring = manual.users.model_dump(exclude={"line", "tenants_line"}) if manual.users else {}
    wiring |= {"sign_up": ", ".join(wiring["sign_up"])} if wiring else {}
    rows = ((name.replace("_", " "), " ".join(str(value).split()) or NONE) for name, value in wiring.items())
    return Listing(("What", "Where"), tuple(rows))


_SECTIONS: dict[str, Callable[[Manual, IsBuilt], Listing]] = {
    "targets": _targets,
    "retention": _retention,
    "hierarchy": _hierarchy,
    "permissions": _permissions,
    "metrics": _metrics,
    "thresholds": _thresholds,
    "key-tables": _key_tables,
    "runbooks": _runbooks,
    "procedures": _procedures,
    "contacts": _contacts,
    "severities": _severities,
    "checklists": _checklists,
    "schedule": _schedule,
    "enum-labels": _enum_labels,
    "audit": _audit,
    "users": _users,
}


def time_text(value: timedelta) -> str:
    """A duration as the manual's listings say it."""
    return human_seconds(value.total_seconds())


def bounds_text(bounds: Iterable[Bound | None]) -> str:
    """Bounds as they are written, NONE when there are none."""
    return ", ".join(bound.text for bound in bounds if bound) or NONE


def _is_built(commands: tuple[Command, ...], is_built: IsBuilt) -> bool:
    return all(is_built(command.words) for command in commands)


def _runbook(runbook: Runbook, is_built: IsBuilt) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{runbook.title} (line {runbook.line})", style="bold")]
    parts += [Text(f"Symptoms: {one}") for one in runbook.symptoms]
    parts += [Text(f"Recovers: {one.text}") for one in runbook.recovers]
    if runbook.prose:
        parts.append(Text(runbook.prose))
    for step in runbook.steps:
        parts += _step(step, is_built)
    return Group(*parts)


def _step(step: Step, is_built: IsBuilt) -> Iterator[RenderableType]:
    done_by = {StepKind.HUMAN: " (a person does this)", StepKind.SHELL: " (typed by a person)"}.get(step.kind, "")
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"{step.number}."), Text(f"{step.text}{done_by}"))
    yield grid
    commands = (
        f"tabsync {command.text}" + ("" if is_built(command.words) else f"  ({NOT_BUILT})") for command in step.commands
    )
    block = "\n".join(commands) or step.block
    if block:
        yield Padding(Text(block, style="cyan"), (0, 0, 0, 3))
