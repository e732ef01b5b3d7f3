"""Rows of odd shapes: circles, deferrable keys, partitions, triggers that meddle. All come back, or none does."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import psycopg.conninfo
import pytest
from psycopg import sql

from tabsync.backups.restore.rows.restore import plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.postgres.embedded import Server
from tabsync.workspace import Workspace
from tests.conftest import Databases, Servers
from tests.drills.rows_copied import RUN, carry_out, compared_with, named
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore_rows import ask, counts

_STAMP = (
    "create function stamp() returns trigger language plpgsql as"
    " $$ begin new.id := case when tg_op = 'INSERT' then new.id + 100 else new.id end; new.note := 'set'; return new;"
    " end $$;"
)


@pytest.mark.parametrize(
    ("shape", "mishap", "asked", "replace"),
    [
        pytest.param(
            "create table p (id int primary key); create table o (id int primary key, a int references p on delete"
            " set null, b int references p on delete set null); insert into p values (1);"
            "insert into o values (1, 1, 1)",
            "delete from p",
            ("p", "true", True),
            False,
            id="two keys that were set null",
        ),
        pytest.param(
            "create table hens (id int primary key, egg int not null);"
            "create table eggs (id int primary key, hen int not null references hens on delete cascade);"
            "insert into hens values (1, 1), (2, 2); insert into eggs values (1, 1), (2, 1);"
            "alter table hens add foreign key (egg) references eggs on delete cascade",
            "delete from hens where id = 1",
            ("hens", "id = 1", True),
            False,
            id="a circle that can't be deferred",
        ),
        pytest.param(
            "create table users (id int primary key, home int);"
            "create table places (id int primary key, of_user int not null references users on delete cascade);"
            "insert into users values (1, 1), (2, 1); insert into places values (1, 1), (2, 1);"
            "alter table users add foreign key (home) references places on delete set null",
            "delete from users where id = 1",
            ("users", "id = 1", True),
            False,
            id="a circle with a row that was cut off",
        ),
        pytest.param(
            "create table n (code int unique, up int references n (code) on delete cascade);"
            "insert into n values (1, null), (2, 1)",
            "delete from n",
            ("n", "true", True),
            False,
            id="no primary key and a key to itself",
        ),
        pytest.param(
            "create table d (id int primary key deferrable, u int unique deferrable);"
            "insert into d values (1, 1), (2, 2)",
            "delete from d where id = 1",
            ("d", "true", False),
            False,
            id="a unique constraint that can be deferred",
        ),
        pytest.param(
            "create table d (id int primary key, u int unique deferrable); insert into d values (1, 1), (2, 2)",
            "update d set u = 3 - u",
            ("d", "true", False),
            True,
            id="values that were exchanged",
        ),
        pytest.param(
            "create table v (id numeric primary key, t text); insert into v values (1.00, 'x')",
            "update v set id = 1, t = 'y'",
            ("v", "true", False),
            True,
            id="a key that is spelled otherwise",
        ),
    ],
)
def test_odd_shapes_come_back_and_go_again(
    server: Server,
    databases: Databases,
    workspaces: Callable[..., Workspace],
    shape: str,
    mishap: str,
    asked: tuple[str, str, bool],
    replace: bool,
) -> None:
    workspace, copy = copied(databases, workspaces, shape)
    before = everything(workspace)
    fill(workspace.conninfo, mishap)
    after = everything(workspace)
    table, where, with_dependents = asked
    with compared_with(workspace, server, copy, named(table), where, with_dependents=with_dependents) as found:
        carry_out(workspace, plan_write_rows(workspace, found, replace=replace))
    assert everything(workspace) == before
    carry_out(workspace, plan_undo_rows(workspace, RUN))
    assert everything(workspace) == after


@pytest.mark.parametrize(
    ("shape", "mishap", "told"),
    [
        pytest.param(
            "create table s (id int primary key, n int generated always as identity); insert into s values (1), (2)",
            "delete from s where id = 2; insert into s values (2)",
            "differ in n,",
            id="a value that can't be set",
        ),
        pytest.param(
            "create table s (id int primary key, u int unique); insert into s values (1, 1);"
            "create table t (u int references s (u) on update cascade); insert into t values (1)",
            "update s set u = 2",
            "1 rows of public.t would be changed",
            id="rows that an update would take along",
        ),
        pytest.param(
            _STAMP + "create table s (id int primary key, note text); insert into s values (1, 'x')",
            "delete from s; create trigger stamp before insert on s for each row execute function stamp()",
            "0 of 1 rows",
            id="a trigger that changes the key",
        ),
    ],
)
def test_what_cannot_be_as_it_was_is_refused(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace], shape: str, mishap: str, told: str
) -> None:
    workspace, copy = copied(databases, workspaces, shape)
    fill(workspace.conninfo, mishap)
    before = everything(workspace)
    with (
        pytest.raises(Refused, match=told) as error,
        compared_with(workspace, server, copy, named("s"), "true") as found,
    ):
        carry_out(workspace, plan_write_rows(workspace, found, replace=True))
    assert error.value.hint
    assert everything(workspace) == before


def test_the_undo_does_not_leave_what_a_trigger_made_of_a_row(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    shape = "create table s (id int primary key, note text); insert into s values (1, 'x');"
    workspace, copy = copied(databases, workspaces, shape + _STAMP)
    stamp = "create trigger stamp before update on s for each row execute function stamp()"
    fill(workspace.conninfo, f"update s set note = 'y'; {stamp}")
    before = everything(workspace)
    with compared_with(workspace, server, copy, named("s"), "true") as found:
        carry_out(workspace, plan_write_rows(workspace, found, replace=True, without_triggers=True))
    written = everything(workspace)
    with pytest.raises(Refused, match="a trigger changed") as error:
        carry_out(workspace, plan_undo_rows(workspace, RUN))
    assert "--without-triggers" in error.value.hint
    assert everything(workspace) == written
    carry_out(workspace, plan_undo_rows(workspace, RUN, without_triggers=True))
    assert everything(workspace) == before


@pytest.mark.parametrize("major", [15, 17, 18])
def test_triggers_of_a_partition_are_silenced_too_and_stay_as_they_were(
    servers: Servers, databases: Databases, workspaces: Callable[..., Workspace], major: int
) -> None:
    shape = (
        "create table s (id int primary key, note text) partition by range (id);"
        "create table s1 partition of s for values from (0) to (10); create table s2 partition of s default;"
        "insert into s values (1, 'x'), (11, 'y');"
    )
    workspace, copy = copied(databases, workspaces, shape + _STAMP, major)
    fill(
        workspace.conninfo,
        "delete from s; create trigger whole before insert on s for each row execute function stamp();"
        "create trigger part before insert on s1 for each row execute function stamp();"
        "alter table only s2 disable trigger whole; alter table s1 enable always trigger part",
    )
    triggers = ask(workspace, _TRIGGERS)
    with compared_with(workspace, servers(major), copy, named("s"), "true") as found:
        carry_out(workspace, plan_write_rows(workspace, found, without_triggers=True))
    assert ask(workspace, "select string_agg(s::text, ' ' order by id) from s") == "(1,x) (11,y)"
    assert ask(workspace, _TRIGGERS) == triggers


def test_a_reference_is_not_given_to_a_row_that_belongs_elsewhere_now(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    shape = (
        "create table p (shop int, id int, primary key (shop, id)); insert into p values (1, 1), (2, 1);"
        "create table o (id int primary key, shop int, p int,"
        " foreign key (shop, p) references p on delete set null (p)); insert into o values (1, 1, 1), (2, 1, 1)"
    )
    workspace, copy = copied(databases, workspaces, shape)
    fill(workspace.conninfo, "delete from p where shop = 1; update o set shop = 2 where id = 2")
    with compared_with(workspace, server, copy, named("p"), "true", with_dependents=True) as found:
        assert counts(found) == {"p": (1, 0, 0, 1), "o": (0, 0, 1, 0)}
        carry_out(workspace, plan_write_rows(workspace, found))
    assert ask(workspace, "select string_agg(o::text, ' ' order by id) from o") == "(1,1,1) (2,2,)"


def test_rows_that_were_cut_off_and_have_no_primary_key_are_told_of(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    shape = (
        "create table p (id int primary key); insert into p values (1);"
        "create table o (p int references p on delete set null); insert into o values (1), (1), (null)"
    )
    workspace, copy = copied(databases, workspaces, shape)
    fill(workspace.conninfo, "delete from p")
    with compared_with(workspace, server, copy, named("p"), "true", with_dependents=True) as found:
        assert counts(found)["o"] == (0, 0, 0, 0)
        assert found.tables[1]["notes"] == [
            "2 rows reference missing ones and have no primary key: they are not changed"
        ]


def test_dependents_of_a_partition_are_asked_of_the_whole_table(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    shape = (
        "create table s (id int primary key) partition by range (id); create table s1 partition of s default;"
        "insert into s values (1); create table c (s int references s on delete cascade); insert into c values (1);"
    )
    workspace, copy = copied(databases, workspaces, shape)
    fill(workspace.conninfo, "delete from s")
    with (
        pytest.raises(BadUsage, match=r"s1 is a partition of public\.s") as error,
        compared_with(workspace, server, copy, named("s1"), "true", with_dependents=True),
    ):
        pytest.fail("it found something")
    assert "--table public.s " in error.value.hint
    fill(workspace.conninfo, "create table d (s int primary key references s1 on delete cascade)")
    with (
        pytest.raises(Refused, match=r"d_s_fkey of public\.d refers to the partition public\.s1"),
        compared_with(workspace, server, copy, named("s"), "true", with_dependents=True),
    ):
        pytest.fail("it found something")


_TRIGGERS = (
    "select string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled), ', '"
    " order by tgrelid::regclass::text, tgname) from pg_trigger"
)


def copied(
    databases: Databases, workspaces: Callable[..., Workspace], script: str, major: int = 17
) -> tuple[Workspace, str]:
    """A workspace on a database that a script fills, and the name of another that is just like it."""
    conninfo = databases(major)
    fill(conninfo, script)
    name = str(psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"])
    return workspaces(conninfo), str(psycopg.conninfo.conninfo_to_dict(databases(major, template=name))["dbname"])


def everything(workspace: Workspace) -> list[str]:
    """Every row of every table of the public schema, and the triggers."""
    found = []
    with psycopg.connect(workspace.conninfo) as connection:
        query = "select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        for (table,) in connection.execute(query).fetchall():
            rows = connection.execute(sql.SQL("select t::text from {} as t").format(sql.Identifier(table)))
            found += [f"{table} {row[0]}" for row in rows]
    return sorted(found) + [str(ask(workspace, _TRIGGERS))]
