"""What rows were before they were written, kept for the undo, and the undo itself.

The values are people's: they lie in home/undo/<run>.jsonl, readable by us only, and never in the ledger. The file goes
when the run is taken back, or after 30 days.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tabsync.backups.restore.rows.as_owner import check_constraints, write
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
from tabsync.backups.restore.rows.roles import LastOnes, guarded_of
from tabsync.backups.restore.rows.shape import Link, groups, links_of
from tabsync.backups.restore.server import check_writable
from tabsync.copies.kept import KEPT_DAYS, kept_directory
from tabsync.copies.row_text import Row, read_lines, stream
from tabsync.kernel.errors import BadUsage, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_VERSION = 1
_REST = "rest of"


@dataclass(slots=True)
class Keeper:
    """The file that a run keeps its undo in. sealed: it is on disk, and the run may commit."""

    path: Path
    file: IO[str]
    sealed: bool = False

    def add(self, table: int, rows: Iterable[tuple[Row, Row | None]]) -> None:
        """Keep rows as they are now, each with what it was before; None: it wasn't there."""
        self.file.writelines(json.dumps([table, after, before]) + "\n" for after, before in rows)

    def add_rest(self, table: int, names: Sequence[str], rows: Iterable[Row]) -> None:
        """Keep what else the inserted rows hold: their key, and the columns that came after the backup as one text."""
        lines = ([f"{_REST} {table}", row[:-1], [row[-1], *names]] for row in rows)
        self.file.writelines(json.dumps(line) + "\n" for line in lines)

    def seal(self) -> None:
        """Flush it to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.sealed = True


@contextmanager
def kept(workspace: Workspace, run_id: str, target: Facts, tables: Sequence[Facts]) -> Iterator[Keeper]:
    """A new undo file for a run; it goes again when the run fails before it may have committed."""
    path = kept_directory(workspace.home) / f"{run_id}.jsonl"
    head = {"version": _VERSION, "run": run_id, "target": target, "tables": list(tables)}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        keeper = Keeper(path, file)
        try:
            file.write(json.dumps(head) + "\n")
            yield keeper
        except BaseException:
            if not keeper.sealed:
                path.unlink()
            raise


def plan_undo_rows(workspace: Workspace, run: str, *, without_triggers: bool = False) -> Plan:
    """Plan to take back what a `restore rows` wrote.

    Raises BadUsage when nothing is kept of that run, ProblemFound when the file is damaged, Refused on a standby.
    Nothing is changed.
    """
    check_writable(workspace)
    head = _head(_path(workspace, run))
    tables = head["tables"]
    named = ", ".join(str(Relation(one["schema"], one["name"])) for one in reversed(tables))
    step = Step(
        "undo",
        f"Undo the rows that run {run} wrote",
        call(undo, run=run, target=head["target"], tables=tables, without_triggers=without_triggers),
        f"in one transaction on {named}: delete the rows that it inserted, restore those that it updated;"
        " refused if one of them was changed since, or is referenced by another row",
        Risk.REVERSIBLE,
        "run tabsync restore rows again",
        claims=(f"database:{head['target']['database']}",),
    )
    return Plan("restore rows --undo", f"Undo the rows of run {run}", (step,), head["target"])


def undo(context: Context, *, run: str, target: Facts, tables: list[Facts], without_triggers: bool) -> Facts:
    """Take a run's rows back, all of them or none. Raises Refused when they are not as the run left them."""
    workspace = context.workspace
    path = _path(workspace, run)
    with workspace.connect("restore", LIMITS) as live:
        with writing(live, target):
            links = links_of(live)
            known = [table_of(live, one) for one in tables]
            kept = {one.relation: _loaded(live, one, path, number) for number, one in enumerate(known)}
            for number, one in enumerate(kept.values()):
                _check_unchanged(live, one.inserted)
                _check_unchanged(live, one.after)
                _check_rest(live, one.inserted, _rest(path, number))
            last = LastOnes(live, guarded_of(workspace), touched(known, tables))
            order = groups(list(kept), links)
            with silenced(live, touched(known, tables), really=without_triggers):
                for number, group in enumerate(reversed(order), start=1):
                    _take_back(live, {one: kept[one] for one in group}, links)
                    context.report(number, len(order), "tables")
            check_constraints(live, touched(known, tables))
            for one in kept.values():
                _check_as_before(live, one.before)
            last.check()
        commit(live)
    path.unlink(missing_ok=True)
    return {
        "deleted": sum(one.inserted.count for one in kept.values()),
        "restored": sum(one.after.count for one in kept.values()),
    }


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a run did to a table. after, before: of the rows that it updated; differ: the columns that it changed."""

    inserted: Loaded
    after: Loaded
    before: Loaded
    differ: list[str]


def _loaded(live: Connection, table: Table, path: Path, number: int) -> _Kept:
    return _Kept(
        table.load(live, f"tabsync_inserted_{number}", (now for now, old in _read(path, number) if old is None)),
        table.load(live, f"tabsync_after_{number}", (now for now, old in _read(path, number) if old)),
        table.load(live, f"tabsync_before_{number}", (old for _, old in _read(path, number) if old)),
        differing(table.columns, _read(path, number)),
    )


def _take_back(live: Connection, group: Mapping[Relation, _Kept], links: Sequence[Link]) -> None:
    """Take back what was done to tables that refer to each other in a circle, or to one."""
    for relation, one in group.items():
        if not one.differ:
            continue
        check_led(live, one.after, one.before, links)
        if one.before.update(live, one.differ) != one.before.count:
            raise Refused(f"not all rows of {relation} could be restored; {NOTHING}", LEAVE_OUT)
    gone = [one.inserted for one in group.values() if one.inserted.count]
    for inserted in gone:
        _check_not_needed(live, inserted, group, links)
    shapes = [one.table.shape for one in gone]
    counts = write(live, [one.deletion() for one in gone], shapes) if gone else []
    for inserted, count in zip(gone, counts, strict=True):
        if count != inserted.count:
            fact = f"{count} of {inserted.count} rows of {inserted.table.relation} could be deleted; {NOTHING}"
            raise Refused(fact, LEAVE_OUT)


def _check_not_needed(
    live: Connection, inserted: Loaded, group: Mapping[Relation, _Kept], links: Sequence[Link]
) -> None:
    for link in links:
        if link.referenced == inserted.table.relation:
            along = group[link.table].inserted if link.table in group else None
            if pointing := inserted.pointed_at(live, link, along):
                raise Refused(
                    f"{pointing} rows of {link.table} reference restored rows of {link.referenced}; {NOTHING}",
                    "the undo would delete them, or set their reference to null: change or delete them first",
                )


def _check_unchanged(live: Connection, rows: Loaded) -> None:
    if not rows.count:
        return
    rows.lock(live)
    found = rows.unchanged(live)
    if found < rows.count:
        raise Refused(
            f"{rows.count - found} rows of {rows.table.relation} were changed or deleted since; {NOTHING}",
            "look at these rows, and change them by hand",
        )


def _check_rest(live: Connection, inserted: Loaded, kept: Mapping[Row, Row]) -> None:
    """See that the columns which came after the backup hold in each row what they held when it came back."""
    if not kept:
        return
    _, *names = next(iter(kept.values()))
    there = {one.name for one in inserted.table.shape.columns}
    changed = len(kept)
    if there.issuperset(names):
        found = {row[:-1]: row[-1] for rows in stream(live, inserted.rest([str(one) for one in names])) for row in rows}
        changed = sum(1 for key, (rest, *_) in kept.items() if found.get(key, rest) != rest)
    if changed:
        fact = f"{changed} rows of {inserted.table.relation} were changed since, in columns added after the backup"
        raise Refused(f"{fact}; {NOTHING}", "look at these rows, and change them by hand")


def _check_as_before(live: Connection, before: Loaded) -> None:
    found = before.unchanged(live) if before.count else 0
    if found < before.count:
        raise Refused(
            f"a trigger changed {before.count - found} rows of {before.table.relation}; {NOTHING}",
            LEAVE_OUT,
        )


def _path(workspace: Workspace, run: str) -> Path:
    path = workspace.home / "undo" / f"{run}.jsonl"
    if "/" in run or not path.is_file():
        hint = f"it wrote no rows, was already undone, or is older than {KEPT_DAYS} days: tabsync run list"
        raise BadUsage(f"there is nothing to undo for run {run}", hint)
    return path


def _head(path: Path) -> Facts:
    try:
        with path.open(encoding="ascii") as file:
            head: Facts = json.loads(file.readline())
        if head["version"] == _VERSION:
            return head
    except (ValueError, KeyError, TypeError):
        pass
    raise ProblemFound(f"the undo file {path.name} can't be read", "if a newer tabsync wrote it, use that version")


def _read(path: Path, table: int) -> Iterator[tuple[Row, Row | None]]:
    lines = read_lines(path)
    next(lines)  # the head
    for number, after, before in lines:
        if number == table:
            yield tuple(after), None if before is None else tuple(before)


def _rest(path: Path, table: int) -> dict[Row, Row]:
    lines = read_lines(path)
    next(lines)  # the head
    return {tuple(key): tuple(rest) for number, key, rest in lines if number == f"{_REST} {table}"}
