"""What rows were before they were written, kept for the undo, and the undo itself.

The values are people's: they lie in home/undo/<run>.jsonl, readable by us only, and never in the ledger. The file goes
when the run is taken back, or after 30 days.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tabsync.backups.rows.live import LIMITS, NOTHING, Loaded, Table, commit, silenced, table_of, touched, writing
from tabsync.backups.rows.shape import Link, links_of
from tabsync.backups.rows.text import Row, read_lines
from tabsync.kernel.errors import BadUsage, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Context, Facts, Risk, Step
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

KEPT_DAYS = 30
_VERSION = 1


@dataclass(slots=True)
class Keeper:
    """The file that a run keeps its undo in. sealed: it is on disk, and the run may commit."""

    path: Path
    file: IO[str]
    sealed: bool = False

    def add(self, table: int, rows: Iterable[tuple[Row, Row | None]]) -> None:
        """Keep rows as they are now, each with what it was before; None: it wasn't there."""
        self.file.writelines(json.dumps([table, after, before]) + "\n" for after, before in rows)

    def seal(self) -> None:
        """Flush it to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.sealed = True


@contextmanager
def kept(workspace: Workspace, run_id: str, target: Facts, tables: Sequence[Facts]) -> Iterator[Keeper]:
    """A new undo file for a run; it goes again when the run fails before it may have committed."""
    directory = workspace.home / "undo"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    forget_old(directory)
    path = directory / f"{run_id}.jsonl"
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


def forget_old(directory: Path) -> None:
    """Delete undo files that are older than KEPT_DAYS: they hold people's data."""
    oldest = time.time() - KEPT_DAYS * 86_400
    for path in directory.glob("*.jsonl"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def plan_undo_rows(workspace: Workspace, run: str, *, without_triggers: bool = False) -> Plan:
    """Plan to take back what a `restore rows` wrote.

    Raises BadUsage when nothing is kept of that run, ProblemFound when the file is damaged. Nothing is changed.
    """
    head = _head(_path(workspace, run))
    tables = head["tables"]
    named = ", ".join(str(Relation(one["schema"], one["name"])) for one in reversed(tables))
    step = Step(
        "undo",
        f"Take back what run {run} wrote",
        "tabsync.backups.rows.undo:undo",
        {"run": run, "target": head["target"], "tables": tables, "without_triggers": without_triggers},
        f"in one transaction on {named}: delete the rows that it inserted, write back those that it updated;"
        " refused when one of them was changed since, or another row points at it",
        Risk.REVERSIBLE,
        "tabsync restore rows again",
    )
    return Plan("restore rows --undo", f"Take back the rows of run {run}", (step,), head["target"])


def undo(context: Context, *, run: str, target: Facts, tables: list[Facts], without_triggers: bool) -> Facts:
    """Take a run's rows back, all of them or none. Raises Refused when they are not as the run left them."""
    workspace: Workspace = context.services
    path = _path(workspace, run)
    deleted, restored = 0, 0
    with workspace.connect("restore", LIMITS) as live:
        with writing(live, target):
            links = links_of(live)
            known = [table_of(live, one) for one in tables]
            with silenced(live, touched(known, tables), really=without_triggers):
                for number in reversed(range(len(known))):
                    counts = _take_back(live, known[number], path, number, links)
                    deleted, restored = deleted + counts[0], restored + counts[1]
                    context.report(len(known) - number, len(known), "tables")
        commit(live)
    path.unlink(missing_ok=True)
    return {"deleted": deleted, "restored": restored}


def _take_back(live: Connection, table: Table, path: Path, number: int, links: Sequence[Link]) -> tuple[int, int]:
    inserted = table.load(live, f"tabsync_inserted_{number}", (now for now, old in _read(path, number) if old is None))
    after = table.load(live, f"tabsync_after_{number}", (now for now, old in _read(path, number) if old))
    before = table.load(live, f"tabsync_before_{number}", (old for _, old in _read(path, number) if old))
    if after.count:
        _check_unchanged(live, after)
        if before.update(live) != before.count:
            raise Refused(f"not all rows of {table.relation} could be written back; {NOTHING}", "")
    if inserted.count:
        _check_unchanged(live, inserted)
        for link in links:
            if link.referenced == table.relation and (pointing := inserted.pointed_at(live, link)):
                raise Refused(
                    f"{pointing} rows of {link.table} point at rows of {table.relation} that came back; {NOTHING}",
                    "they would be lost or cut off with them: decide about them first",
                )
        if inserted.delete(live) != inserted.count:
            raise Refused(f"not all rows of {table.relation} could be deleted; {NOTHING}", "")
    return inserted.count, after.count


def _check_unchanged(live: Connection, rows: Loaded) -> None:
    rows.lock(live)
    found = rows.unchanged(live)
    if found < rows.count:
        raise Refused(
            f"{rows.count - found} rows of {rows.table.relation} were changed or deleted since; {NOTHING}",
            "look at them, and decide by hand",
        )


def _path(workspace: Workspace, run: str) -> Path:
    path = workspace.home / "undo" / f"{run}.jsonl"
    if "/" in run or not path.is_file():
        hint = f"it wrote no rows, was taken back already, or is older than {KEPT_DAYS} days: tabsync run list"
        raise BadUsage(f"nothing is kept to take back of run {run}", hint)
    return path


def _head(path: Path) -> Facts:
    try:
        with path.open(encoding="ascii") as file:
            head: Facts = json.loads(file.readline())
        if head["version"] == _VERSION:
            return head
    except (ValueError, KeyError, TypeError):
        pass
    raise ProblemFound(f"{path.name} can't be read as what was kept for an undo", "was it written by a newer tabsync?")


def _read(path: Path, table: int) -> Iterator[tuple[Row, Row | None]]:
    lines = read_lines(path)
    next(lines)  # the head
    for number, after, before in lines:
        if number == table:
            yield tuple(after), None if before is None else tuple(before)
