"""tabsync restore rows: single rows back from a backup, or from another database of the server.

Two plans. The first compares: it fetches only the tables needed, restores them into a scratch server and looks their
rows up in the database, which is only read. What it found is shown. The second writes exactly that, in one
transaction, and refuses when anything has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from tabsync.backups.restore.rows.asked import NOTHING, Asked
from tabsync.backups.restore.rows.comparison import CHANGED, DIFF, MISSING, PARENTS, UNLINKED
from tabsync.backups.restore.rows.plan_compare import plan_compare_rows
from tabsync.backups.restore.rows.roles import CHANGE_IT, secret_columns, told_of
from tabsync.backups.restore.rows.secret import check_secrets
from tabsync.backups.restore.rows.shape import fires
from tabsync.backups.restore.rows.write import write
from tabsync.copies.row_text import read_lines
from tabsync.copies.source import Source
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Listener, Outcome, run
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.catalog import Relation

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_HERE = "tabsync.backups"
_HIDDEN = "(secret)"
_SHOWN = 5
"""Rows of each kind that are listed; the others are counted."""


Sample: TypeAlias = tuple[str, list[str | None], list[str | None]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison found.

    facts: compare()'s; scratch: where the rows are; source: what was compared with; why: where nobody named it, why.
    """

    scratch: str
    source: str
    at: str
    target: Facts
    facts: Facts
    read_bytes: int
    run_id: str
    why: str = ""

    @property
    def tables(self) -> list[Facts]:
        """The tables, parents first, with their counts."""
        return list(self.facts["tables"])

    def total(self, *states: str) -> int:
        """The rows of some states, over all tables."""
        return sum(one[state] for one in self.tables for state in states)

    def to_json(self) -> Facts:
        """What was found, without values."""
        kept: Facts = {key: self.facts[key] for key in ("tables", "parents", "digest", "log") if key in self.facts}
        return {"source": self.source, "why": self.why, "as_of": self.at, "bytes_read": self.read_bytes, **kept}


@contextmanager
def compared(
    workspace: Workspace,
    table: str,
    where: str,
    source: str = "latest",
    *,
    with_dependents: bool = False,
    asked: Asked = NOTHING,
    listener: Listener | None = None,
) -> Iterator[Difference]:
    """Run the comparison; what it found is there inside the block, and gone after it. Raises what stopped it."""
    plan, found, scratch = plan_compare_rows(
        workspace, table, where, source, with_dependents=with_dependents, asked=asked
    )
    try:
        outcome = run(plan, workspace, workspace.journal(), listener)
        outcome.raise_if_failed()
        yield _difference(outcome, plan, found, scratch)
    finally:
        workspace.delete(workspace.scratch(scratch))


def plan_write_rows(
    workspace: Workspace,
    found: Difference,
    *,
    replace: bool = False,
    without_triggers: bool = False,
    without_secrets: bool = False,
) -> Plan:
    """Plan to write what a comparison found. replace: also make rows that differ what they were; without_secrets: also
    rows of which the audit log hides some columns, without these.

    Raises Refused when there is nothing to write, or rows point at others that are missing, NotAllowed when the user
    may not write, or may not silence the triggers. Nothing is changed.
    """
    writing = [one for one in found.tables if one[MISSING] or one[UNLINKED] or (replace and one[CHANGED])]
    if not writing:
        hint = (
            "rows that differ are only overwritten with --replace"
            if found.total(CHANGED)
            else "see which rows --where finds: --dry-run"
        )
        raise Refused("there is nothing to restore", hint)
    if found.facts["parents"]:
        first = found.facts["parents"][0]
        parent = Relation(**first["referenced"])
        raise Refused(
            f"{first['count']} rows that {Relation(**first['table'])} references are missing in {parent}",
            f"restore these first: tabsync restore rows --table {parent} --where ...",
        )
    if not without_secrets:
        check_secrets(writing)
    if replace:
        _check_settable(writing)
    _check_rights(writing, replace=replace, without_triggers=without_triggers)
    database = str(found.target["database"])
    writing_step = Step(
        "write",
        f"Write {_amount(found, replace=replace)} in one transaction"
        + (f"; THIS GIVES ROLES BACK: {roles}" if (roles := told_of(writing)) else ""),
        call(
            write,
            scratch=found.scratch,
            target=found.target,
            tables=found.tables,
            digest=found.facts["digest"],
            replace=replace,
            without_triggers=without_triggers,
        ),
        _preview(writing, replace=replace, without_triggers=without_triggers),
        Risk.DESTRUCTIVE if replace and found.total(CHANGED) else Risk.REVERSIBLE,
        "tabsync restore rows --undo RUN, the run's id",
        claims=(f"database:{database}",),
    )
    return Plan("restore rows", f"Restore rows into {database}", (writing_step,), found.target, confirm=database)


def samples(
    workspace: Workspace, found: Difference, table: Facts
) -> list[tuple[str, list[str | None], list[str | None]]]:
    """The first rows of each state of a table: (state, new, old); old is empty for a missing row."""
    told: list[tuple[str, list[str | None], list[str | None]]] = []
    hidden = secret_columns(workspace).get(Relation(table["schema"], table["name"]), frozenset())
    secret = [at for at, name in enumerate(table["columns"]) if name in hidden or name in table.get("masked", ())]
    path = workspace.scratch(found.scratch) / DIFF / table["file"]
    for state in (MISSING, UNLINKED, CHANGED):
        rows = ((new, old or []) for which, new, old in read_lines(path) if which == state)
        told += [(state, *_without(secret, new, old)) for new, old in islice(rows, _SHOWN)]
    return told


def _without(
    secret: Sequence[int], new: list[str | None], old: list[str | None]
) -> tuple[list[str | None], list[str | None]]:
    """Two rows as they are shown: of a secret column only whether there is a value, and whether it differs."""
    shown, before = list(new), list(old)
    for at in secret:
        if before and before[at] is not None:
            before[at] = _HIDDEN
        if shown[at] is not None:
            shown[at] = _HIDDEN if not old or new[at] == old[at] or old[at] is None else f"another {_HIDDEN}"
    return shown, before


def missing_parents(workspace: Workspace, found: Difference) -> list[tuple[Facts, list[list[str | None]]]]:
    """The foreign keys whose rows are missing, each with the first values that it looks for."""
    path = workspace.scratch(found.scratch) / DIFF / PARENTS
    values = list(read_lines(path))
    secret = secret_columns(workspace)
    told = []
    for number, parent in enumerate(found.facts["parents"]):
        hidden = secret.get(Relation(**parent["table"]), frozenset())
        at = [place for place, name in enumerate(parent["columns"]) if name in hidden]
        told.append((parent, [_without(at, row, [])[0] for which, row in values if which == number]))
    return told


def _difference(outcome: Outcome, plan: Plan, source: Source, scratch: str) -> Difference:
    facts, read = outcome.results["compare"], outcome.results.get("fetch", {}).get("bytes", 0)
    return Difference(scratch, str(source), source.at, plan.target, facts, read, outcome.run_id, source.why)


def _check_settable(tables: Sequence[Facts]) -> None:
    for one in tables:
        relation = Relation(one["schema"], one["name"])
        for column, count in one["stuck"].items():
            raise Refused(
                f"{count} rows of {relation} differ in {column}, which is GENERATED ALWAYS and can't be set",
                f"choose rows without them, or: alter table {relation} alter {column} set generated by default",
            )


def _check_rights(tables: Sequence[Facts], *, replace: bool, without_triggers: bool) -> None:
    for one in tables:
        relation, may = Relation(one["schema"], one["name"]), one["may"]
        if one[MISSING] and not may["insert"]:
            raise NotAllowed(f"this user may not insert into {relation}", "use the table's owner")
        if (one[UNLINKED] or (replace and one[CHANGED])) and not may["update"]:
            raise NotAllowed(f"this user may not update {relation}", "use the table's owner")
        if without_triggers and one["triggers"] and not may["own"]:
            raise NotAllowed(f"only its owner can disable the triggers of {relation}", "leave --without-triggers out")


def _amount(found: Difference, *, replace: bool) -> str:
    parts = [(found.total(MISSING), "missing"), (found.total(UNLINKED), "to reference again")]
    parts += [(found.total(CHANGED), "to replace")] if replace else []
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)


def _preview(tables: Sequence[Facts], *, replace: bool, without_triggers: bool) -> str:
    lines = []
    for one in tables:
        relation = Relation(one["schema"], one["name"])
        if one[MISSING]:
            lines.append(f"insert into {relation} {one[MISSING]:,} missing")
        updated = one[UNLINKED] + (one[CHANGED] if replace else 0)
        if updated:
            lines.append(f"update {relation}, {updated:,} by primary key")
        firing = [name for name, events in one["triggers"] if fires(events, replace=bool(updated))]
        if firing and not without_triggers:
            lines.append(f"these triggers fire: {', '.join(firing)}")
        elif firing:
            lines.append(
                f"alter table {relation} disable trigger {', '.join(firing)}; they are enabled again at the end"
            )
        lines += [f"role stays; to change it: {CHANGE_IT}"] if updated and one.get("role_stays") else []
    return "; ".join(lines)
