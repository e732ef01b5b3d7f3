"""The step that writes rows back: one transaction, parents first, every count checked, what was there before kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.rows import undo as undo_file
from tabsync.backups.rows.comparison import CHANGED, DIFF, MISSING, UNLINKED, digest_of_diff
from tabsync.backups.rows.live import LIMITS, NOTHING, Loaded, Table, commit, silenced, table_of, touched, writing
from tabsync.backups.rows.text import Row, read_lines, stream
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Context, Facts
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


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
    workspace: Workspace = context.services
    diff = workspace.scratch(scratch) / DIFF
    if digest_of_diff(diff, [one["file"] for one in tables]) != digest:
        raise Refused(f"the differences are not those that were shown; {NOTHING}", "compare again")
    done = []
    with (
        workspace.connect("restore", LIMITS) as live,
        undo_file.kept(workspace, context.run_id, target, tables) as undo,
    ):
        with writing(live, target):
            known = [table_of(live, one) for one in tables]
            with silenced(live, touched(known, tables), really=without_triggers):
                for number, (table, facts) in enumerate(zip(known, tables, strict=True)):
                    done.append(_write_table(live, table, facts, diff, number, replace=replace))
                    context.report(number + 1, len(tables), "tables")
            live.execute("set constraints all immediate")
            altered = sum(_keep(live, undo, number, one) for number, one in enumerate(done))
        undo.seal()
        commit(live)
    return {
        "tables": [
            {"schema": one["schema"], "name": one["name"], "inserted": made[0].count, "updated": made[1].count}
            for one, made in zip(tables, done, strict=True)
        ],
        "altered_by_triggers": altered,
        "undo": undo.path.name,
    }


def _write_table(
    live: Connection, table: Table, facts: Facts, diff: Path, number: int, *, replace: bool
) -> tuple[Loaded, Loaded, Loaded]:
    """Insert the missing rows, update those that are to be; gives those, the updated and their before."""
    path = diff / facts["file"]
    updated = (UNLINKED, CHANGED) if replace else (UNLINKED,)
    missing = table.load(live, f"tabsync_missing_{number}", (new for state, new, _ in _read(path) if state == MISSING))
    after = table.load(live, f"tabsync_after_{number}", (new for state, new, _ in _read(path) if state in updated))
    before = table.load(
        live, f"tabsync_before_{number}", (old for state, _, old in _read(path) if state in updated and old)
    )
    if missing.count:
        _insert(live, missing, facts)
    if before.count:
        before.lock(live)
        if before.unchanged(live) != before.count:
            raise Refused(f"rows of {table.relation} were changed meanwhile; {NOTHING}", "compare again")
        found = after.update(live)
        if found != after.count:
            raise Refused(f"{found} instead of {after.count} rows of {table.relation} were updated; {NOTHING}", "")
    return missing, after, before


def _insert(live: Connection, missing: Loaded, facts: Facts) -> None:
    relation = missing.table.relation
    if not missing.table.shape.key:
        missing.lock(live)
        if missing.unchanged(live) != facts["present"]:
            raise Refused(f"equal rows of {relation} came or went meanwhile; {NOTHING}", "compare again")
    inserted = missing.insert(live)
    if inserted == missing.count:
        return
    # This transaction ends here anyway: PostgreSQL names the constraint when it is asked without ON CONFLICT.
    missing.insert_all(live)
    raise Refused(
        f"{inserted} of {missing.count} rows got into {relation}: a trigger held the others back; {NOTHING}",
        "look at its triggers, or leave them out: --without-triggers",
    )


def _keep(live: Connection, undo: undo_file.Keeper, number: int, done: tuple[Loaded, Loaded, Loaded]) -> int:
    """Keep each row as it is now and as it was before; gives how many rows triggers made other than they were to be."""
    missing, after, before = done
    width, altered = len(missing.table.columns), 0
    if missing.count and not missing.table.shape.key:
        query = missing.all_rows()
        for rows in stream(live, query):
            undo.add(number, [(row, None) for row in rows])
        return 0
    for loaded, is_new in ((missing, True), (before, False)):
        for rows in stream(live, loaded.beside()) if loaded.count else ():
            undo.add(number, [(row[:width], None if is_new else row[width:]) for row in rows])
            altered += sum(row[:width] != row[width:] for row in rows) if is_new else 0
    for rows in stream(live, after.beside()) if after.count else ():
        altered += sum(row[:width] != row[width:] for row in rows)
    return altered


def _read(path: Path) -> Iterator[tuple[str, Row, Row | None]]:
    for state, new, old in read_lines(path):
        yield state, tuple(new), None if old is None else tuple(old)
