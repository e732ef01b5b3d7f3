"""`restore rows` against a model: random schemas, rows and mishaps. What comes back is what was said, nothing else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from tabsync.backups.restore.rows.comparison import DIFF
from tabsync.backups.restore.rows.restore import Difference, compared, plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.copies.row_text import read_lines
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.postgres import embedded
from tabsync.postgres.catalog import Relation
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.drills import rows_model as model
from tests.drills.rows_built import SCHEMA, UNIFORM, Place, frozen, happen, same, where
from tests.drills.rows_copied import RUN, carry_out
from tests.drills.rows_model import Case, Found, Row, Rows, Table
from tests.drills.rows_random import cases
from tests.drills.test_restore import backed_up
from tests.whole import WHOLE

EXAMPLES = int(os.environ.get("TABSYNC_ROWS_EXAMPLES", "90" if WHOLE else "40"))
OF_A_BACKUP = max(3, EXAMPLES // 40)
_QUIET = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)


def lines(case: Case, workspace: Workspace, found: Difference) -> dict[str, Counter[object]]:
    """The differences that the comparison wrote down, by table."""
    told: dict[str, Counter[object]] = {}
    for facts in found.tables:
        path = workspace.scratch(found.scratch) / DIFF / facts["file"]
        told[facts["name"]] = Counter(
            (state, tuple(zip(facts["columns"], new, strict=True)), old and tuple(old))
            for state, new, old in read_lines(path)
        )
    return told


def expected(table: Table, found: Found) -> Counter[object]:
    names = table.compared()
    return Counter(
        (state, tuple((one, new[one]) for one in names), old and tuple(old[one] for one in names))
        for state, new, old in found.lines
    )


def check(place: Place, case: Case, found: Difference) -> None:
    """Everything that must hold of one example, from the comparison to the undo."""
    workspace = place.workspace
    backup, live = place.rows(place.copy, case), place.rows(place.live, case)
    wanted = model.compare(case, backup, live)
    rest, logged = place.rest(case), place.logged()
    by_table = {one["name"]: one for one in found.tables}
    told = lines(case, workspace, found)
    for table in case.tables:
        if table.name not in by_table:
            assert not wanted[table.name].lines
            continue
        assert told[table.name] == expected(table, wanted[table.name])
        assert by_table[table.name]["same"] == wanted[table.name].same
    parents = model.lacking(case, wanted, live)
    assert {one["key"]: one["count"] for one in found.facts["parents"]} == dict(parents)

    states = ("missing", "unlinked", "changed") if case.replace else ("missing", "unlinked")
    writing = {table.name: wanted[table.name].of(*states) for table in case.tables}
    final = model.after(case, wanted, live)
    why, maybe = verdict(case, writing, live, final, parents)
    undo_before = sorted(path.name for path in (workspace.home / "undo").glob("*"))
    try:
        plan = plan_write_rows(workspace, found, replace=case.replace, without_triggers=case.without_triggers)
        written = carry_out(workspace, plan)
    except Refused as error:
        event(f"refused: {why or maybe}")
        assert error.fact and error.hint, error
        assert why or maybe, f"{error.fact}; {error.hint}"
        assert same(place.rows(place.live, case), live)
        assert (place.rest(case), place.logged()) == (rest, logged)
        assert sorted(path.name for path in (workspace.home / "undo").glob("*")) == undo_before
        return
    assert not why, f"written in spite of: {why}"
    event("written")
    inserted = [one for one, changes in writing.items() if any(old is None for _, _, old in changes)]
    kinds = {state for changes in writing.values() for state, _, _ in changes}
    event(f"written: {', '.join(sorted(kinds))} in {len(inserted)} tables")
    stamped = ["stamp"] if not case.without_triggers else []
    now = place.rows(place.live, case)
    assert same(now, final, stamped)
    assert place.rest(case) == rest
    for facts in written["tables"]:
        changes = writing[facts["name"]]
        assert facts["inserted"] == sum(old is None for _, _, old in changes)
        assert facts["updated"] == sum(old is not None for _, _, old in changes)
    if case.without_triggers:
        assert written["altered_by_triggers"] == 0
        assert place.logged() == logged
    take_back(place, case, live, now, writing, stamped)


def take_back(
    place: Place,
    case: Case,
    before: Rows,
    now: Rows,
    writing: dict[str, list[tuple[str, Row, Row | None]]],
    stamped: Sequence[str],
) -> None:
    """A second comparison finds nothing to do, and the undo brings back what there was, or nothing."""
    if not any(case.table(one).trigger[0] == "stamp" for one in writing) or case.without_triggers:
        again = model.compare(case, place.rows(place.copy, case), now)
        states = ("missing", "unlinked", "changed") if case.replace else ("missing", "unlinked")
        assert not any(again[one].of(*states) for one in again)
    changed = False
    for one in case.meanwhile:
        changed |= happen(place.live, case, one)
    since = place.rows(place.live, case)
    changed = changed and not same(since, now)
    rest = place.rest(case)
    plan = plan_undo_rows(place.workspace, RUN, without_triggers=case.without_triggers)
    fires = not case.without_triggers and any(case.table(one).trigger[0] for one, changes in writing.items() if changes)
    try:
        carry_out(place.workspace, plan)
    except Refused as error:
        event("undo refused")
        assert error.fact and error.hint, error
        assert changed or fires, f"{error.fact}; {error.hint}"
        assert same(place.rows(place.live, case), since)
        assert place.rest(case) == rest
        (place.workspace.home / "undo" / f"{RUN}.jsonl").unlink()
        return
    event("taken back" + (" after a change" if changed else ""))
    assert place.rest(case) == rest
    found = frozen(place.rows(place.live, case))
    if not changed:
        assert found == frozen(before)
        return
    was, then = frozen(before), frozen(now)
    for table, there in frozen(since).items():
        assert found[table] == there - (then[table] - was[table]) + (was[table] - then[table])


def verdict(
    case: Case, writing: dict[str, list[tuple[str, Row, Row | None]]], live: Rows, final: Rows, parents: Counter[str]
) -> tuple[str, str]:
    """Why it must be refused, and why it may be; "" when it must not."""
    if not any(writing.values()):
        return "nothing to write", ""
    if parents:
        return "parents are missing", ""
    news = {one: [row for row in final[one] if row not in live[one]] for one in writing}
    if why := model.broken(case, final, news):
        return why, ""
    maybe = ""
    for table in case.tables:
        changes = writing[table.name]
        fixed = [one.name for one in table.columns if one.identity == "always"]
        if any(old is not None and new[one] != old[one] for _, new, old in changes for one in fixed):
            return "identity", ""
        kind, on_part = table.trigger
        if changes and kind and not case.without_triggers:
            must = [old is None for _, _, old in changes]
            if kind == "hold" and any(must) and not on_part:
                return "held back", ""
            if kind == "refuse" and not on_part:
                return "a trigger refuses", ""
            if kind in ("hold", "refuse", "rekey") or (kind == "stamp" and not table.key):
                maybe = f"a trigger may {kind}"
        if table.unique and not table.late:
            taken = {table.at(row, table.unique): row for row in live[table.name]}
            for _, new, old in changes:
                values = table.at(new, table.unique)
                if None not in values and taken.get(values, old) != old:
                    maybe = "a unique value is held by a row that gives it back"
    for link in case.links:
        parent = case.table(link.parent)
        for _, new, old in writing[link.parent]:
            if old is not None and parent.at(new, link.parents) != parent.at(old, link.parents):
                pointing = any(model.points(case, link, row, old) for row in live[link.table])
                if link.update != "no action" and pointing:
                    return "an update would cascade", ""
                maybe = "a value that others may point at changes"
            elif old is not None and any(new[one] != old[one] for one in link.parents):
                maybe = "a value that others point at is spelled otherwise"
    return "", maybe


@pytest.fixture
def pair(
    databases: Databases, workspaces: Callable[..., Workspace], server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setattr("tabsync.backups.restore.rows.undo.os.fsync", lambda fd: None)
    conninfo, copy = databases(), databases()
    with psycopg.connect(conninfo, autocommit=True) as one, psycopg.connect(copy, autocommit=True) as other:
        for connection in (one, other):
            connection.execute(UNIFORM)
            connection.execute("set client_min_messages = warning")
        yield Place(workspaces(conninfo), server, one, other)


@settings(max_examples=EXAMPLES, suppress_health_check=_QUIET, report_multiple_bugs=False)
@given(case=cases())
def test_what_comes_back_is_what_a_naive_model_says(pair: Place, case: Case) -> None:
    pair.build(case)
    pair.befall(case)
    with found_or_nothing(pair, case), pair.compared(case) as found:
        check(pair, case, found)


@settings(max_examples=OF_A_BACKUP, phases=[Phase.generate], suppress_health_check=_QUIET, report_multiple_bugs=False)
@given(case=cases())
def test_what_comes_back_from_a_backup_is_the_same(pair: Place, case: Case) -> None:
    pair.build(case)
    backed_up(pair.workspace)
    pair.befall(case)
    root = str(Relation(SCHEMA, case.root))
    with (
        found_or_nothing(pair, case),
        compared(pair.workspace, root, where(case), with_dependents=case.with_dependents) as found,
    ):
        check(pair, case, found)


@contextmanager
def found_or_nothing(place: Place, case: Case) -> Iterator[None]:
    """A condition that finds no row is told to do so."""
    try:
        yield
    except BadUsage as error:
        event("no row found")
        assert "no row of" in error.fact, error
        backup = place.rows(place.copy, case)
        assert not any(row["tag"] in case.tags for row in backup[case.root])
