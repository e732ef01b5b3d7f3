"""Any half of a migration, of a small grammar: undone, the catalogs are as they were before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabsync.kernel.runner import run
from tabsync.migrations.undo.undo import Undo, plan_undo
from tabsync.workspace import Workspace
from tests.postgres.migrations import truth
from tests.postgres.migrations.history import History, half_done
from tests.whole import WHOLE

_BEFORE = """
create table plate (id int primary key, name text, size int);
create table "Odd Menu" (id int);
create type course as enum ('starter', 'main');
create sequence numbers;
create index plate_name on plate (name);
insert into plate values (1, 'a', 3), (2, 'b', 4);
"""
_NAMES = ("a", "b", '"Odd;C"', "name2")
_TABLES = ("plate", '"Odd Menu"')
_TYPES = ("int", "text")
_OWN = ("t1", '"T 2"', "t3")


def statements() -> st.SearchStrategy[list[str]]:
    """Statements, each of which may work or not: what doesn't is where the migration fails."""
    name, table, own = st.sampled_from(_NAMES), st.sampled_from((*_TABLES, *_OWN)), st.sampled_from(_OWN)
    one = st.one_of(
        st.builds("create table {} (id int primary key, x text)".format, own),
        st.builds("insert into {} values (1), (2)".format, own),
        st.builds("alter table {} add column {} int default 7".format, table, name),
        st.builds("alter table {} rename column {} to {}".format, table, name, st.sampled_from(("c", "d"))),
        st.builds("alter table {} rename to {}".format, table, own),
        st.builds("create index {} on {} (id)".format, st.sampled_from(("i1", '"I 2"')), table),
        st.builds("create unique index concurrently {} on {} (id)".format, st.sampled_from(("i3", "i4")), table),
        st.builds("alter table {} add constraint c1 check (id > 0)".format, table),
        st.builds("alter table {} add constraint c2 foreign key (id) references plate (id)".format, table),
        st.builds("create view v1 as select id from {}".format, table),
        st.builds("create type {} as enum ('x')".format, st.sampled_from(("e1", "e2"))),
        st.builds(
            "create function f1({}) returns int language sql as 'select 1'".format, st.sampled_from(("int", "text"))
        ),
        st.builds("create policy p1 on {} using (true)".format, table),
        st.builds("alter type course rename value 'main' to '{}'".format, st.sampled_from(("second", "third"))),
        st.just("alter sequence numbers rename to numbers2"),
        st.just("create schema s1"),
        st.just("create table s1.inner (id int)"),
        st.builds("alter index plate_name rename to {}".format, st.sampled_from(("pn", '"P N"'))),
    )
    return st.lists(one, min_size=1, max_size=8)


@settings(
    max_examples=60 if WHOLE else 8,
    derandomize=not WHOLE,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=statements())
def test_a_half_that_is_undone_leaves_nothing(
    script: list[str], databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    place = directory / f"any{len(list(directory.iterdir()))}"
    place.mkdir()
    history = History(databases(), place)
    history.applied("1_first", _BEFORE)
    before = snapshot(history.conninfo)
    half_done(history, "2_broken", ";\n".join([*script, "select 1/0"]), fails="")
    workspace = workspaces(history.conninfo)
    for _ in range(2):  # again, as after kill -9: it goes on from what is there
        if snapshot(history.conninfo) == before:
            break
        plan = plan_undo(workspace, Undo("2_broken", history.folder)).plan
        run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    assert snapshot(history.conninfo) == before, script


def snapshot(conninfo: str) -> dict[str, str]:
    with psycopg.connect(conninfo) as session:
        found = truth.catalog(session) | truth.rows(session)
    found.pop("public._prisma_migrations")
    return found
