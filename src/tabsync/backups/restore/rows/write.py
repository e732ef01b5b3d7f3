"""The step that writes rows back: one transaction, parents first, every count checked, what was there before kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.restore.rows import undo as undo_file
from tabsync.backups.restore.rows.as_owner import check_constraints
from tabsync.backups.restore.rows.as_owner import write as write_as_owner
from tabsync.backups.restore.rows.comparison import CHANGED, DIFF, MISSING, UNLINKED, digest_of_diff
from tabsync.backups.restore.rows.live import (
    LIMITS,
    Loaded,
    Table,
    check_led,
    commit,
    differing,
    silenced,
    table_of,
    touched,
    writing,
)
from tabsync.backups.restore.rows.refused import LEAVE_OUT, NOTHING
from tabsync.backups.restore.rows.roles import Guarded, LastOnes, enter, guarded_of
from tabsync.backups.restore.rows.shape import Link, groups, links_of
from tabsync.copies.row_text import Row, read_lines, stream
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context


@dataclass(frozen=True, slots=True)
class _Written:
    """What is written to a table. before, after: of rows that are updated; differ: the columns that this is about."""

    missing: Loaded
    after: Loaded
    before: Loaded
    differ: list[str]
    present: int


def write(
    context: Context,
    *,
    scratch: str,
    target: Facts,
    tables: list[Facts],
    digest: str,
    replace: bool,
    without_triggers: bool,
) -> Facts:
    """Write the differences that were shown, and nothing else; where anything isn't as it was shown, nothing at all.

    tables: parents first, as compare() gave them. Raises Refused when the rows were changed meanwhile, or don't fit.
    """
    workspace = context.workspace
    diff = workspace.scratch(scratch) / DIFF
    if digest_of_diff(diff, [one["file"] for one in tables]) != digest:
        raise Refused(f"the differences have changed since they were shown; {NOTHING}", "run the command again")
    done: list[_Written] = []
    guarded = guarded_of(workspace)
    entered = True
    with (
        workspace.connect("restore", LIMITS) as live,
        undo_file.kept(workspace, context.run_id, target, tables) as undo,
    ):
        with writing(live, target):
            links = links_of(live)
            known = [table_of(live, one) for one in tables]
            done = [
                _loaded(live, table, facts, diff, number, replace=replace)
                for number, (table, facts) in enumerate(zip(known, tables, strict=True))
            ]
            last = LastOnes(live, guarded, touched(known, tables))
            order = groups([one.relation for one in known], links)
            with silenced(live, touched(known, tables), really=without_triggers):
                for number, group in enumerate(order, start=1):
                    members = [one for one in done if one.missing.table.relation in group]
                    _insert(live, [one for one in members if one.missing.count])
                    for one in members:
                        _update(live, one, links)
                    context.report(number, len(order), "tables")
            check_constraints(live, touched(known, tables))
            last.check()
            if guarded and (given := _given(guarded, known, tables, diff)):
                entered = enter(live, guarded, given, workspace.journal_actor(), context.run_id)
            altered = sum(_keep(live, undo, number, one) for number, one in enumerate(done))
        undo.seal()
        commit(live)
    return {
        "tables": [
            {"schema": one["schema"], "name": one["name"], "inserted": made.missing.count, "updated": made.after.count}
            for one, made in zip(tables, done, strict=True)
        ],
        "altered_by_triggers": altered,
        "undo": undo.path.name,
        "roles_entered": entered,
    }


def _given(guarded: Guarded, known: Sequence[Table], tables: Sequence[Facts], diff: Path) -> list[tuple[str, str]]:
    """The users who come back with a role that nobody gets by signing up: (key, role)."""
    for table, facts in zip(known, tables, strict=True):
        names = list(table.columns)
        if table.relation == guarded.relation and {guarded.wiring.key, guarded.wiring.role} <= set(names):
            key, role = names.index(guarded.wiring.key), names.index(guarded.wiring.role)
            rows = (new for state, new, _ in _read(diff / facts["file"]) if state == MISSING)
            return [(str(new[key]), str(new[role])) for new in rows if guarded.raised(new[role])]
    return []


def _loaded(live: Connection, table: Table, facts: Facts, diff: Path, number: int, *, replace: bool) -> _Written:
    """Load a table's differences: the missing rows, those that are to be updated, and what they are before."""
    path = diff / facts["file"]
    updated = (UNLINKED, CHANGED) if replace else (UNLINKED,)
    differ = differing(table.columns, ((new, old) for state, new, old in _read(path) if state in updated))
    return _Written(
        table.load(live, f"tabsync_missing_{number}", (new for state, new, _ in _read(path) if state == MISSING)),
        table.load(live, f"tabsync_after_{number}", (new for state, new, _ in _read(path) if state in updated)),
        table.load(
            live, f"tabsync_before_{number}", (old for state, _, old in _read(path) if state in updated and old)
        ),
        differ,
        facts["present"],
    )


def _insert(live: Connection, written: Sequence[_Written]) -> None:
    """Insert the missing rows of tables that refer to each other in a circle, or of one."""
    if not written:
        return
    for one in written:
        if not one.missing.table.shape.key:
            one.missing.lock(live)
            if one.missing.alike(live) != one.present:
                fact = f"equal rows of {one.missing.table.relation} were inserted or deleted meanwhile; {NOTHING}"
                raise Refused(fact, "run the command again")
    shapes = [one.missing.table.shape for one in written]
    counts = write_as_owner(live, [one.missing.insertion() for one in written], shapes)
    for one, inserted in zip(written, counts, strict=True):
        if inserted != one.missing.count:
            raise Refused(
                f"{inserted} of {one.missing.count} rows were inserted into {one.missing.table.relation}:"
                f" a trigger skipped the others; {NOTHING}",
                LEAVE_OUT,
            )


def _update(live: Connection, written: _Written, links: Sequence[Link]) -> None:
    before, after, relation = written.before, written.after, written.after.table.relation
    if not before.count:
        return
    before.lock(live)
    if before.unchanged(live) != before.count:
        raise Refused(f"rows of {relation} were changed meanwhile; {NOTHING}", "run the command again")
    check_led(live, before, after, links)
    found = after.update(live, written.differ)
    if found != after.count:
        raise Refused(
            f"{found} of {after.count} rows of {relation} were updated: a trigger skipped the others; {NOTHING}",
            LEAVE_OUT,
        )


def _keep(live: Connection, undo: undo_file.Keeper, number: int, done: _Written) -> int:
    """Keep each row as it is now and as it was before; gives how many rows triggers made other than they were to be.

    Raises Refused when a row isn't found again: it could not be taken back.
    """
    missing, after, before = done.missing, done.after, done.before
    width, altered, kept = len(missing.table.columns), 0, 0
    if missing.count and not missing.table.shape.key:
        _found_again(missing, missing.alike(live) - done.present)
        for rows in stream(live, missing.all_rows()):
            undo.add(number, [(row, None) for row in rows])
        return 0
    for loaded, is_new in ((missing, True), (before, False)):
        for rows in stream(live, loaded.beside()) if loaded.count else ():
            undo.add(number, [(row[:width], None if is_new else row[width:]) for row in rows])
            altered += sum(row[:width] != row[width:] for row in rows) if is_new else 0
            kept += len(rows)
    _found_again(missing, kept - before.count)
    if missing.count and (names := missing.table.rest):
        for rows in stream(live, missing.rest(names)):
            undo.add_rest(number, names, rows)
    for rows in stream(live, after.beside()) if after.count else ():
        altered += sum(row[:width] != row[width:] for row in rows)
    return altered


def _found_again(missing: Loaded, count: int) -> None:
    if count != missing.count:
        raise Refused(
            f"{count} of {missing.count} rows of {missing.table.relation} were written unchanged:"
            f" a trigger changed the others; {NOTHING}",
            LEAVE_OUT,
        )


def _read(path: Path) -> Iterator[tuple[str, Row, Row | None]]:
    for state, new, old in read_lines(path):
        yield state, tuple(new), None if old is None else tuple(old)
