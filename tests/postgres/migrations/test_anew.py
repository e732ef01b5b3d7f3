"""Statements that drop something and make it anew, in one or in two: everyday, and nothing that a catalog can tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.migrations.pending import is_begun, without_notes
from tabsync.migrations.resolve import Resolve, plan_resolve
from tabsync.migrations.there import lacking_of, what_is_there
from tabsync.migrations.undo.undo import Undo, plan_undo
from tabsync.workspace import Workspace
from tests.postgres.migrations.history import History, half_done
from tests.postgres.migrations.test_undo import undone
from tests.postgres.migrations.test_undo_age import done

_FIRST = """
create table third (id int constraint third_pkey primary key, name text default 'x', owned_id serial not null);
insert into third values (1, 'a');
create table pay (id int, third int constraint pay_fk references third (id) on delete restrict);
create index pay_third on pay (third);
create view names as select name from third;
create type mood as enum ('sad')
"""
EVERYDAY = {
    "a column's type": 'alter table "pay" drop column "third", add column "third" text',
    "a key": "alter table pay add constraint pay_pkey primary key (id);"
    " alter table pay drop constraint pay_pkey, add column uid int, add constraint pay_pkey primary key (id, uid)",
    "an unnamed key": "alter table third drop constraint third_pkey cascade; alter table third add primary key (id)",
    "a table": "drop table if exists pay cascade; create table pay (id int, third int);"
    " create index pay_third on pay (third)",
    "a view": "drop view names cascade; create view names as select id from third",
    "a foreign key": "alter table pay drop constraint pay_fk; create table other (id int);"
    " alter table pay add constraint pay_fk foreign key (third) references third (id) on delete cascade",
    "a default": "alter table third alter name drop default, alter name set default 'sad'",
    "what is there with other columns": "create table if not exists third (id int, other text)",
}


@pytest.fixture
def history(databases: Callable[..., str], directory: Path) -> History:
    found = History(databases(), directory)
    found.applied("1_first", _FIRST)
    return found


@pytest.mark.parametrize("what", EVERYDAY)
def test_it_is_not_begun_before_and_nothing_lacks_afterwards(what: str, history: History) -> None:
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        assert not is_begun(without_notes(what_is_there(session, EVERYDAY[what], ["public"])))
    done(history.conninfo, EVERYDAY[what])
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        after = what_is_there(session, EVERYDAY[what], ["public"])
    assert "absent" not in lacking_of(after)


MADE_ANEW = {
    "a column": "alter table third drop column name cascade; alter table third add column name int",
    "in one": "alter table pay drop column third, add column third int",
    "a foreign key": "alter table pay drop constraint pay_fk;"
    " alter table pay add constraint pay_fk foreign key (third) references third (id) on delete cascade",
    "a view": "drop view names; create view names as select id from third",
    "an index": "drop index pay_third; create index pay_third on pay (id)",
    "a table": "drop table pay; create table pay (id int, third int)",
    "a table with all": "drop table third cascade; create table third (id int)",
    "a type": "drop type mood; create type mood as enum ('glad')",
}


@pytest.mark.parametrize("what", MADE_ANEW)
def test_what_was_made_anew_is_not_as_it_was(what: str, history: History, workspaces: Callable[..., Workspace]) -> None:
    half_done(history, "2_broken", f"{MADE_ANEW[what]}; select 1 / 0")
    workspace = workspaces(history.conninfo)
    with pytest.raises(Refused, match="can't be noted"):
        plan_resolve(workspace, Resolve("2_broken", history.folder, rolled_back=True))
    with pytest.raises(Refused, match=r"can.t be undone|nothing to undo"):
        plan_undo(workspace, Undo("2_broken", history.folder))


@pytest.mark.parametrize(
    "script",
    [
        "create table x (id int); alter table pay drop column third, add column third_id int; select 1 / 0",
        "alter table third add column size int, alter owned_id drop not null; select 1 / 0",
        "create table x as with u as (update third set name = 'b' returning id) select id from u; select 1 / 0",
        "create table x (id int); explain analyze update third set name = 'b'; select 1 / 0",
    ],
)
def test_what_an_undo_leaves_is_not_forgotten(
    script: str, history: History, workspaces: Callable[..., Workspace]
) -> None:
    half_done(history, "2_broken", script)
    workspace = workspaces(history.conninfo)
    with pytest.raises(Refused, match="can't be undone"):
        plan_undo(workspace, Undo("2_broken", history.folder))
    assert undone(workspace, history.folder, only=True)["may_have_changed"]
    with pytest.raises(Refused, match="can't be noted"):
        plan_resolve(workspace, Resolve("2_broken", history.folder, rolled_back=True))
