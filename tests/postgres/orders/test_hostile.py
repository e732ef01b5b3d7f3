"""Tables that are somebody else's, looked at and written by a superuser: the owner's code runs as the owner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tabsync.kernel.errors import Exit, FailedPartway, NotAllowed, Refused, TabsyncError
from tabsync.workspace import Workspace
from tests.postgres.cli.program import tabsync
from tests.postgres.orders.shop import RESTAURANTS, SPY, TABLES, Conn, look, order, run, settings_in
from tests.traps import plant
from tests.whole import MAJORS

Workspaces = Callable[..., Workspace]


def test_triggers_run_as_the_owner(owned: str, admin: Conn, workspaces: Workspaces) -> None:
    admin.execute(SPY)
    for name in ("order_pauses", "order_gate"):
        table = sql.Identifier(name)
        admin.execute(
            sql.SQL("create trigger spy before insert or update on {} for each row execute function spy()").format(
                table
            )
        )
        admin.execute(
            sql.SQL(
                "create constraint trigger late after insert or update on {} deferrable initially deferred"
                " for each row execute function spy()"
            ).format(table)
        )
    run(workspaces(owned), "orders pause")
    run(workspaces(owned), "orders resume")
    seen = set(admin.execute("select who::text from spied").fetchall())
    assert seen == {("mallory",)}
    row = admin.execute("select count(*) from spied").fetchone()
    assert row is not None and row[0] >= 8, "the triggers were not there"


@pytest.mark.parametrize("name", TABLES)
def test_a_view_is_not_read(owned: str, admin: Conn, workspaces: Workspaces, name: str) -> None:
    table, real = sql.Identifier(name), sql.Identifier(f"real_{name}")
    admin.execute(SPY)
    admin.execute(sql.SQL("alter table {} rename to {}").format(table, real))
    admin.execute(
        "create function peek() returns boolean language sql volatile as"
        " 'insert into public.spied values (current_user, session_user) returning true'"
    )
    admin.execute(sql.SQL("create view {} as select * from {} where peek()").format(table, real))
    for words in ("orders pause", "orders resume"):
        with pytest.raises(Refused, match=f"no plain table: public.{name}"):
            run(workspaces(owned), words)
    with pytest.raises(Refused, match=f"no plain table: public.{name}"):
        look(workspaces(owned))
    assert admin.execute("select from spied").fetchall() == []


def test_a_table_that_inherits_is_not_read(owned: str, admin: Conn, workspaces: Workspaces) -> None:
    admin.execute("create table more () inherits (order_pauses)")
    admin.execute(
        "insert into more (id, reason, paused_by, ends_at) overriding system value"
        " values (77, 'not ours', 'mallory', clock_timestamp() + interval '1 hour')"
    )
    assert look(workspaces(owned)).data["pauses"] == []


def test_other_types(owned: str, admin: Conn, workspaces: Workspaces) -> None:
    admin.execute("create domain harmless as text")
    admin.execute("alter table restaurants alter column name type harmless")
    with pytest.raises(Refused, match="has no column name of the type"):
        look(workspaces(owned))


@pytest.mark.parametrize("kind", ["trigger", "rule", "policy", "privilege"])
def test_what_keeps_the_row_out_is_said(owned: str, admin: Conn, workspaces: Workspaces, kind: str) -> None:
    if kind == "trigger":
        admin.execute("create function no() returns trigger language plpgsql as 'begin return null; end'")
        admin.execute("create trigger no before insert on order_pauses for each row execute function no()")
    elif kind == "rule":
        admin.execute("create rule no as on insert to order_pauses do instead nothing")
    elif kind == "policy":
        admin.execute("alter table order_pauses enable row level security")
        admin.execute("alter table order_pauses force row level security")
    else:
        admin.execute("revoke insert on order_pauses from mallory")
    with pytest.raises(TabsyncError) as stopped:
        run(workspaces(owned), "orders pause", wait="0s")
    assert isinstance(stopped.value, FailedPartway | NotAllowed | Refused)
    assert "orders were not paused" in stopped.value.fact
    assert "\n" not in stopped.value.fact
    assert order(admin, "alpha") == ""


def test_admission_that_is_not_ours(owned: str, admin: Conn, workspaces: Workspaces) -> None:
    row = admin.execute("select pg_get_functiondef('orders_admission()'::regprocedure)").fetchone()
    assert row is not None
    made = str(row[0])
    admin.execute(
        made.replace("moment := clock_timestamp();", "moment := clock_timestamp(); -- as we like it").encode()
    )
    paused = run(workspaces(owned), "orders pause")
    assert (paused.exit_code, "is another one" in paused.data["unsure"]) == (Exit.UNKNOWN, True)
    assert look(workspaces(owned)).exit_code == Exit.UNKNOWN
    admin.execute(made.replace("order_pauses", "order_gate_").encode())
    with pytest.raises(Refused, match="knows no pauses"):
        run(workspaces(owned), "orders pause")
    admin.execute(made.encode())
    admin.execute("alter table order_pauses enable row level security")
    assert run(workspaces(owned), "orders pause").exit_code == Exit.DONE
    admin.execute("alter table order_pauses force row level security")
    assert "row security" in look(workspaces(owned)).data["unsure"]
    admin.execute("alter table orders disable trigger orders_admission")
    with pytest.raises(Refused, match="unchecked") as unchecked:
        run(workspaces(owned), "orders pause")
    assert "enable trigger" in unchecked.value.hint


MOVES = "create function moves() returns trigger language plpgsql as 'begin return new; end'"
ADMIT = "before insert on orders for each row {} execute function orders_admission()"
PAST = {
    "condition": (
        "drop trigger orders_admission on orders; create trigger orders_admission " + ADMIT.format("when (false)"),
        "the trigger orders_admission of orders is missing, switched off, or another",
    ),
    "moved": ("alter table orders disable trigger orders_admission_moved", "the trigger orders_admission_moved"),
    "insert": (f"{MOVES}; create trigger zz before insert on orders for each row execute function moves()", "zz"),
    "update": (f"{MOVES}; create trigger aa before update on orders for each row execute function moves()", "aa"),
    "settings": ("alter function orders_admission() reset search_path", "is another one than that"),
    "inherits": ("create table more () inherits (orders)", "tables inherit from orders"),
    "role": ("alter role mallory set session_replication_role = replica", "don't fire for mallory"),
    "subscription": (
        "create subscription {0} connection 'dbname=x' publication p with (connect = false);"
        "insert into pg_subscription_rel select oid, 'orders'::regclass, 'r' from pg_subscription"
        " where subname = '{0}'",
        "a subscription writes orders",
    ),
}


@pytest.mark.parametrize("past", PAST)
def test_what_goes_past_the_admission(owned: str, admin: Conn, workspaces: Workspaces, past: str) -> None:
    statement, told = PAST[past]
    name = f"sub_{admin.info.dbname}"
    admin.execute(statement.format(name).encode())
    try:
        paused = run(workspaces(owned), "orders pause", wait="0s")
        assert (paused.exit_code, told in paused.data["unsure"]) == (Exit.UNKNOWN, True), paused.data["unsure"]
        assert look(workspaces(owned)).exit_code == Exit.UNKNOWN
    finally:
        if past == "subscription":
            admin.execute(sql.SQL("alter subscription {} set (slot_name = none)").format(sql.Identifier(name)))
            admin.execute(sql.SQL("drop subscription {}").format(sql.Identifier(name)))


@pytest.mark.parametrize("major", MAJORS)
def test_what_the_migrations_make_is_known(shops: Callable[..., str], workspaces: Workspaces, major: int) -> None:
    conninfo = shops(major)
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute(MOVES)
        admin.execute("create trigger aa before insert on orders for each row execute function moves()")
    assert look(workspaces(conninfo)).exit_code == Exit.DONE


def test_without_the_migration(owned: str, admin: Conn, workspaces: Workspaces) -> None:
    admin.execute("drop table order_pauses, order_gate")
    for words in ("orders pause", "orders resume"):
        with pytest.raises(Refused, match=r"0010_order_pauses is not applied") as refused:
            run(workspaces(owned), words)
        assert "update restaurants set accepts_orders = false" in refused.value.hint
    with pytest.raises(Refused, match=r"no table public.orders"):
        admin.execute("drop table orders cascade")
        look(workspaces(owned))


def test_a_role_that_may_not(owned: str, admin: Conn, workspaces: Workspaces) -> None:
    admin.execute("create role reader login password 'reads'")
    admin.execute("grant select on all tables in schema public to reader")
    try:
        workspace = workspaces(psycopg.conninfo.make_conninfo(owned, user="reader", password="reads"))
        assert look(workspace).exit_code == Exit.DONE
        with pytest.raises(NotAllowed, match=r"may not write public.order_pauses"):
            run(workspace, "orders pause")
        admin.execute("grant insert, update on order_pauses, order_gate to reader")
        assert run(workspace, "orders pause").data["drained"] is True
        admin.execute("revoke select on order_gate from reader")
        with pytest.raises(NotAllowed):
            look(workspace)
    finally:
        admin.execute("drop owned by reader")
        admin.execute("drop role reader")


@pytest.mark.parametrize("major", MAJORS)
def test_nothing_hostile_is_run(shops: Callable[..., str], workspaces: Workspaces, directory: Path, major: int) -> None:
    conninfo, proof = shops(major), directory / "proof"
    directory.chmod(0o777)
    assert plant(conninfo, proof) > 200
    with psycopg.connect(conninfo, autocommit=True) as admin:
        row = admin.execute("select current_database()").fetchone()
        assert row is not None
        admin.execute(
            sql.SQL("alter database {} set search_path = hostile, public, pg_catalog").format(sql.Identifier(row[0]))
        )
    workspace = workspaces(conninfo)
    assert run(workspace, "orders pause").data["drained"] is True
    look(workspace)
    run(workspace, "orders resume")
    assert not proof.exists(), proof.read_text()
    with psycopg.connect(conninfo, autocommit=True) as guest:
        guest.execute("set search_path = public")
        assert [order(guest, one) for one in RESTAURANTS] == [""] * 3


def test_the_pause_stands_though_the_second_step_fails(owned: str, admin: Conn, directory: Path) -> None:
    admin.execute("create function no() returns trigger language plpgsql as 'begin raise exception ''no gate''; end'")
    admin.execute("create trigger no before update on order_gate for each row execute function no()")
    settings_in(directory, owned)
    done = tabsync(directory, "orders", "pause", "--json")
    assert (done.code, done.json["pause"]["id"]) == (5, 1), done.err
    assert "the gate for transactions that began before was not closed: no gate" in done.json["error"]
    shown = tabsync(directory, "orders", "pause")
    assert "PAUSED all restaurants; whether an order is still under way is unknown" in shown.out
    assert (shown.code, order(admin, "alpha")) == (5, "TS001")
    admin.execute("drop trigger no on order_gate")
    admin.execute("create rule no as on insert to order_pauses do instead nothing")
    failed = tabsync(directory, "orders", "pause", "--reason", "another", "--json")
    assert (failed.code, "orders were not paused" in failed.out) == (5, True), failed
    drawn = tabsync(directory, "run", "show", "latest")
    assert "orders were not paused" in drawn.out
