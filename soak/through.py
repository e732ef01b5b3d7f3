"""One database through every procedure that judges a copy, with a second opinion beside each verdict.

The second opinion is independent of the code that it judges: each table's rows, by column name, as one digest that
PostgreSQL computes in the source and in the copy. A verdict is false when it says "the same" and the digests differ, or
when it refuses and they don't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.restore.in_place import plan_restore_in_place, plan_undo_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.rows.restore import compared
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.backups.take import plan_take_full
from tabsync.init.inspect import Findings, manual_text
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.postgres.catalog import Relation
from tabsync.workspace import Workspace

PROCEDURES = ("drill", "new", "in-place", "tables", "rows")

_TABLES = """
select n.nspname, c.relname,
       array(select a.attname::text from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where (c.relkind = 'r' or (c.relkind = 'm' and c.relispopulated)) and c.relpersistence <> 't'
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
 order by 1, 2
"""
_DIGEST = sql.SQL(
    "select count(*), md5(coalesce(string_agg(whole, ';' order by whole), ''))"
    " from (select row({})::text from {}) as t(whole)"
)


@dataclass(slots=True)
class Told:
    """What one procedure said of a database. verdict: "same", or why not; notes: what it named beside that."""

    verdict: str
    notes: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it says that everything came back."""
        return self.verdict == "same"


def content(conninfo: str) -> dict[str, tuple[int, str]]:
    """The rows of every table of a database, those of extensions too: their number and their digest."""
    with _looking(conninfo) as connection:
        found = connection.execute(_TABLES).fetchall()
        result = {}
        for schema, name, columns in found:
            parts = sql.SQL(", ").join(map(sql.Identifier, columns)) if columns else sql.SQL("1")
            only = sql.SQL("only {}").format(sql.Identifier(schema, name))
            row = connection.execute(_DIGEST.format(parts, only)).fetchone()
            assert row is not None
            result[str(Relation(schema, name))] = (row[0], row[1])
    return result


def _looking(conninfo: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A session that fires no trigger on login, where there are such."""
    options = "-c search_path= -c extra_float_digits=3 -c lc_monetary=C"
    try:
        return psycopg.connect(conninfo, options=f"{options} -c event_triggers=off")
    except psycopg.OperationalError:
        return psycopg.connect(conninfo, options=options)


def through(workspace: Workspace, procedures: tuple[str, ...] = PROCEDURES) -> dict[str, Told]:
    """Take a backup and lead it through the procedures; each is told, and held against the second opinion.

    Raises AssertionError naming every false verdict. The database is as it was afterwards.
    """
    outcome = carried_out(workspace, plan_take_full(workspace))
    outcome.raise_if_failed()
    before = content(workspace.conninfo)
    told: dict[str, Told] = {}
    for name in procedures:
        told[name] = _ALL[name](workspace, before)
    return told


def _drill(workspace: Workspace, before: dict[str, tuple[int, str]]) -> Told:
    report = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), "latest"))
    error, verdict = report.data["error"], report.data["verdict"]
    if error:
        return Told(error["fact"], facts=report.data)
    said = "same" if verdict["ok"] else "; ".join(verdict["unproven"])
    return Told(said, list(verdict["notes"]), report.data)


def _new(workspace: Workspace, before: dict[str, tuple[int, str]]) -> Told:
    name = f"{_own(workspace)}_back"
    with dropped(workspace, lambda other: other == name):
        outcome = carried_out(workspace, plan_restore_new(workspace, "latest", name))
        return _told(outcome, lambda: _same(before, content(make_conninfo(workspace.conninfo, dbname=name))))


def _in_place(workspace: Workspace, before: dict[str, tuple[int, str]]) -> Told:
    own = _own(workspace)
    with dropped(workspace, lambda other: other.startswith((f"{own}_before_", f"{own}_after_", f"{own}_restoring_"))):
        outcome = carried_out(workspace, plan_restore_in_place(workspace, _latest(workspace)))
        told = _told(outcome, lambda: _same(before, content(workspace.conninfo)))
        if told.ok:
            carried_out(workspace, plan_undo_in_place(workspace)).raise_if_failed()
            _same(before, content(workspace.conninfo))
        return told


def _tables(workspace: Workspace, before: dict[str, tuple[int, str]]) -> Told:
    name, wanted = f"{_own(workspace)}_some", _roots(workspace)
    if not wanted:
        return Told("same", ["no tables"])
    with dropped(workspace, lambda other: other == name):
        try:
            plan, selection = plan_restore_tables(workspace, [str(one) for one in wanted], _latest(workspace), name)
        except TabsyncError as error:
            return Told(error.fact)
        there = {str(one) for one in selection.tables}

        def compare() -> None:
            found = content(make_conninfo(workspace.conninfo, dbname=name))
            some, came = ({one: rows[one] for one in there & rows.keys()} for rows in (before, found))
            _same(some, came)

        return _told(carried_out(workspace, plan), compare)


def _rows(workspace: Workspace, before: dict[str, tuple[int, str]]) -> Told:
    """A dry run over every table: nothing was changed since the backup, so nothing may differ."""
    notes, wrong = [], []
    for one in _roots(workspace):
        if not before.get(str(one), (0,))[0]:
            continue
        try:
            with compared(workspace, str(one), "true", _latest(workspace)) as found:
                if found.total("missing", "changed", "unlinked"):
                    wrong.append(f"rows of {one} differ")
        except TabsyncError as error:
            notes.append(f"{one}: {error.fact}")
    assert not wrong, wrong
    return Told("same", notes)


_ALL: dict[str, Callable[[Workspace, dict[str, tuple[int, str]]], Told]] = {
    "drill": _drill,
    "new": _new,
    "in-place": _in_place,
    "tables": _tables,
    "rows": _rows,
}


def carried_out(workspace: Workspace, plan: Plan) -> Outcome:
    """Run a plan."""
    return run(plan, workspace, workspace.journal())


@contextmanager
def dropped(workspace: Workspace, ours: Callable[[str], bool]) -> Iterator[None]:
    """Drop the databases that a restore made, whatever came of it."""
    try:
        yield
    finally:
        with psycopg.connect(make_conninfo(workspace.conninfo, dbname="template1"), autocommit=True) as connection:
            for (name,) in connection.execute("select datname from pg_database").fetchall():
                if ours(name):
                    statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
                    with suppress(psycopg.Error):
                        connection.execute(statement)


def plain_manual(path: Path) -> Path:
    """Write a manual without key tables, since these databases have none of TabSync's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(manual_text(Findings({"database": "odd", "version": "17"}, "self-hosted", (), (), (), 0)))
    return path


def _told(outcome: Outcome, compare: Callable[[], None]) -> Told:
    if outcome.error is not None:
        return Told(str(outcome.error), facts=dict(outcome.results))
    compare()
    verified = outcome.results["verify"]
    return Told("same", list(verified.get("notes", ())), dict(outcome.results))


def _same(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> None:
    different = sorted(one for one in before.keys() | after.keys() if before.get(one) != after.get(one))
    assert not different, f"it says that all came back, and these differ: {different}"


def _latest(workspace: Workspace) -> str:
    full = [one for one in workspace.store().manifests()[0] if one.kind == "full" and one.reason != "before-restore"]
    return full[-1].id


def _own(workspace: Workspace) -> str:
    return str(conninfo_to_dict(workspace.conninfo)["dbname"])


def _roots(workspace: Workspace) -> list[Relation]:
    """Tables that are no partitions, and no extension's."""
    query = (
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'"
        " and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from pg_depend d"
        " where d.objid = c.oid and d.deptype = 'e' and d.classid = 'pg_class'::regclass) order by 1, 2"
    )
    with _looking(workspace.conninfo) as connection:
        return [Relation(*row) for row in connection.execute(query)]
