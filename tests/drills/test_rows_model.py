"""`restore rows` against a model: random schemas, rows and mishaps. What comes back is what was said, nothing else."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from psycopg import sql

from tabsync.backups.restore_rows import Difference, compared, plan_write_rows
from tabsync.backups.rows.comparison import DIFF
from tabsync.backups.rows.text import read_lines
from tabsync.backups.rows.undo import plan_undo_rows
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.postgres import embedded
from tabsync.postgres.catalog import Relation
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.drills import rows_model as model
from tests.drills.rows_copied import RUN, carry_out, compared_with
from tests.drills.rows_model import Case, Found, Mishap, Row, Rows, Table
from tests.drills.test_restore import backed_up

SCHEMA = "Ex 1%s"
EXAMPLES = int(os.environ.get("TABSYNC_ROWS_EXAMPLES", "100"))
OF_A_BACKUP = max(3, EXAMPLES // 40)
_QUIET = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
_UNIFORM = "set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set extra_float_digits = 3; set bytea_output = 'hex'"
_LOGGED = "log of triggers"
_FUNCTIONS = """
create type {0}.mood as enum ('good', 'o''k', 'very "happy"');
create table {0}."log of triggers" (what text);
create function {0}.log() returns trigger language plpgsql as
  $$ begin insert into {0}."log of triggers" values (tg_op); return null; end $$;
create function {0}.stamp() returns trigger language plpgsql as $$ begin new.stamp := 'set'; return new; end $$;
create function {0}.refuse() returns trigger language plpgsql as $$ begin raise exception 'I refuse'; end $$;
create function {0}.hold() returns trigger language plpgsql as $$ begin return null; end $$;
create function {0}.rekey() returns trigger language plpgsql as $$ begin new.id := 77; return new; end $$;
"""
_TRIGGERS = {
    "log": "after insert or update or delete",
    "stamp": "before insert or update",
    "refuse": "before insert or update",
    "hold": "before insert",
    "keep": "before delete",
    "rekey": "before insert",
}


def name(*parts: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, *parts)


@dataclass(slots=True, repr=False)
class Place:
    """Two databases of one server: the one that people use, and the one that stands for the backup's copy."""

    workspace: Workspace
    server: embedded.Server
    live: psycopg.Connection
    copy: psycopg.Connection

    def build(self, case: Case) -> None:
        """The tables with their rows on both sides."""
        shutil.rmtree(self.workspace.home / "undo", ignore_errors=True)
        for connection in (self.copy, self.live):
            connection.execute(sql.SQL("drop schema if exists {0} cascade; create schema {0}").format(name()))
            connection.execute(sql.SQL(_FUNCTIONS).format(name()))
            for table in case.tables:
                create(connection, table)
            for link in case.links:
                connection.execute(key(link))
            connection.execute("set session_replication_role = replica")
            for table in case.tables:
                insert(connection, table, case.rows[table.name])
                if table.heir:
                    insert(connection, table, case.rows[table.name][:2], f"{table.name} heir")
            connection.execute("reset session_replication_role")

    def befall(self, case: Case) -> None:
        """Let the mishaps happen, and the changes of the schema since."""
        for one in case.mishaps:
            happen(self.live, case, one)
        for table in case.tables:
            for column in table.columns:
                if column.since:
                    how = "drop column {}" if column.since == "dropped" else "add column {} text not null default 'new'"
                    change = sql.SQL("alter table {} " + how)
                    self.live.execute(change.format(name(table.name), sql.Identifier(column.name)))
            if table.check_since:
                self.live.execute(sql.SQL("alter table {} add check (tag <> 9) not valid").format(name(table.name)))
            if table.trigger[0]:
                self.live.execute(trigger(table))

    def rows(self, connection: psycopg.Connection, case: Case) -> Rows:
        """Every row of the case's tables as text."""
        return {table.name: read(connection, table, table.split) for table in case.tables}

    def rest(self, case: Case) -> list[object]:
        """What must stay as it is whatever happens: rows of heirs, triggers and whether they are enabled."""
        triggers = self.live.execute(
            "select tgrelid::regclass::text, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2"
        ).fetchall()
        heirs = [read(self.live, table, "", f"{table.name} heir") for table in case.tables if table.heir]
        return [triggers, heirs]

    def logged(self) -> int:
        row = self.live.execute(sql.SQL("select count(*) from {}").format(name(_LOGGED))).fetchone()
        assert row is not None
        return int(row[0])

    def compared(self, case: Case) -> AbstractContextManager[Difference]:
        """What the comparison's own step finds, without the steps that make the copy."""
        table, copy = {"schema": SCHEMA, "name": case.root}, self.copy.info.dbname
        return compared_with(
            self.workspace, self.server, copy, table, where(case), with_dependents=case.with_dependents
        )


def where(case: Case) -> str:
    return f"tag in ({', '.join(case.tags)})"


def create(connection: psycopg.Connection, table: Table) -> None:
    """A table, its parts, and the one that inherits."""
    parts: list[sql.Composable] = []
    for one in table.columns:
        if one.since == "added":
            continue
        kind = sql.SQL("{}.mood").format(name()) if one.type == "mood" else sql.SQL(one.type)
        part = sql.SQL("{} {}").format(sql.Identifier(one.name), kind)
        part = part + sql.SQL(" not null" if one.not_null else "")
        part += sql.SQL(f" generated {one.identity} as identity" if one.identity else "")
        part += sql.SQL(" generated always as (tag * 2) stored" if one.generated else "")
        if one.default:
            part += sql.SQL(" default {}::{}").format(model.VALUES[one.type][-1], kind)
        parts.append(part)
    for word, names in (("primary key", table.key), ("unique", table.unique)):
        if names:
            parts.append(sql.SQL("{} ({}){}").format(sql.SQL(word), columns(names), sql.SQL(table.late)))
    split = sql.SQL(" partition by list ({})").format(sql.Identifier(table.split)) if table.split else sql.SQL("")
    connection.execute(sql.SQL("create table {} ({}){}").format(name(table.name), sql.SQL(", ").join(parts), split))
    if table.split:
        value = model.VALUES[table.column(table.split).type][0]
        for which, values in (("one", sql.SQL("for values in ({})").format(value)), ("rest", sql.SQL("default"))):
            made = sql.SQL("create table {} partition of {} {}")
            connection.execute(made.format(name(f"{table.name} {which}"), name(table.name), values))
    if table.heir:
        heir = sql.SQL("create table {} () inherits ({})").format(name(f"{table.name} heir"), name(table.name))
        connection.execute(heir)


def key(link: model.Link) -> sql.Composed:
    """A foreign key."""
    cut = sql.SQL(" ({})").format(columns(link.cut)) if link.cut != link.columns and link.delete == "set null" else None
    return sql.SQL("alter table {} add constraint {} foreign key ({}) references {} ({}){}").format(
        name(link.table),
        sql.Identifier(link.name),
        columns(link.columns),
        name(link.parent),
        columns(link.parents),
        sql.SQL(" match full" if link.full else "")
        + sql.SQL(f" on delete {link.delete}")
        + (cut or sql.SQL(""))
        + sql.SQL(f" on update {link.update} {link.deferrable}"),
    )


def trigger(table: Table) -> sql.Composed:
    kind, on_part = table.trigger
    on = f"{table.name} rest" if on_part else table.name
    function = "hold" if kind == "keep" else kind
    return sql.SQL("create trigger {} {} on {} for each row execute function {}()").format(
        sql.Identifier(f"{kind} it"), sql.SQL(_TRIGGERS[kind]), name(on), name(function)
    )


def columns(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def insert(connection: psycopg.Connection, table: Table, rows: Sequence[Row], into: str = "") -> None:
    """Insert rows with all their values."""
    names = [one.name for one in table.columns if not one.generated and one.since != "added"]
    if not rows:
        return
    values = sql.SQL(", ").join(
        sql.SQL("({})").format(sql.SQL(", ").join(sql.Literal(row[one]) for one in names)) for row in rows
    )
    start = sql.SQL("insert into {} ({}) overriding system value values ").format(
        name(into or table.name), columns(names)
    )
    connection.execute(start + values)


def happen(connection: psycopg.Connection, case: Case, mishap: Mishap) -> bool:
    """One mishap, unless the database itself refuses it."""
    table = case.table(mishap.table)
    words = {"table": name(table.name), "tag": sql.Literal(mishap.tag)}
    try:
        if mishap.what == "delete":
            connection.execute(sql.SQL("delete from {table} where tag = {tag}").format(**words))
        elif mishap.what == "truncate":
            connection.execute(sql.SQL("truncate only {table}" if table.heir else "truncate {table}").format(**words))
        elif mishap.what in ("update", "rekey"):
            for column, value in mishap.row.items():
                query = sql.SQL("update only {table} set {column} = {value} where tag = {tag}")
                query = sql.SQL("update {table} set {column} = {value} where tag = {tag}") if table.split else query
                query_ = query.format(**words, column=sql.Identifier(column), value=sql.Literal(value))
                connection.execute(query_)
        else:
            insert(connection, table, [mishap.row])
    except psycopg.Error as error:
        assert not isinstance(error, psycopg.errors.SyntaxError), error
        return False
    return True


def read(connection: psycopg.Connection, table: Table, split: str, of: str = "") -> list[Row]:
    """The rows of a table as texts, in an order of their own."""
    there = connection.execute(
        "select attname from pg_attribute where attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
        " and attnum > 0 and not attisdropped order by attnum",
        [SCHEMA, of or table.name],
    ).fetchall()
    names = [str(one[0]) for one in there]
    texts = [
        sql.SQL("case when {0} is not null then format('%s', {0}) end").format(sql.Identifier(one)) for one in names
    ]
    only = sql.SQL("" if split else "only ") + name(of or table.name)
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(texts), only)
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query).fetchall()]


def same(left: Rows, right: Rows, without: Sequence[str] = ()) -> bool:
    """Whether the same rows are in all tables, whatever their order."""
    return frozen(left, without) == frozen(right, without)


def frozen(rows: Rows, without: Sequence[str] = ()) -> dict[str, Counter[tuple[tuple[str, str | None], ...]]]:
    return {
        table: Counter(tuple(sorted((k, v) for k, v in row.items() if k not in without)) for row in there)
        for table, there in rows.items()
    }


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
    monkeypatch.setattr("tabsync.backups.rows.undo.os.fsync", lambda fd: None)
    conninfo, copy = databases(), databases()
    with psycopg.connect(conninfo, autocommit=True) as one, psycopg.connect(copy, autocommit=True) as other:
        for connection in (one, other):
            connection.execute(_UNIFORM)
            connection.execute("set client_min_messages = warning")
        yield Place(workspaces(conninfo), server, one, other)


@settings(max_examples=EXAMPLES, suppress_health_check=_QUIET, report_multiple_bugs=False)
@given(case=model.cases())
def test_what_comes_back_is_what_a_naive_model_says(pair: Place, case: Case) -> None:
    pair.build(case)
    pair.befall(case)
    with found_or_nothing(pair, case), pair.compared(case) as found:
        check(pair, case, found)


@settings(max_examples=OF_A_BACKUP, phases=[Phase.generate], suppress_health_check=_QUIET, report_multiple_bugs=False)
@given(case=model.cases())
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
