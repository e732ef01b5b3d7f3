"""What changed in the catalog, against the statements that were run."""

from __future__ import annotations

import pytest

from tabsync.backups.restore.diff.objects import Definition, Known
from tabsync.deployments.besides import besides, changed_objects

_BEFORE: Known = {
    ("schema", "public"): Definition("", ""),
    ("table", "public.plate"): Definition("", ""),
    ("column", "public.plate.id"): Definition("public.plate", "integer not null"),
    ("view", "public.sizes"): Definition("", "SELECT size FROM public.plate"),
    ("table", "public.seen"): Definition("", "partition by RANGE (at)"),
}
_COUNTS: Known = {
    ("sequence", "public.t_id_seq"): Definition("", "owned by public.t.id"),
    ("privileges", "sequence public.t_id_seq"): Definition("", "owner me"),
}


def told(script: str, after: Known, gone: tuple[tuple[str, str], ...] = ()) -> list[str]:
    now = {key: value for key, value in (_BEFORE | after).items() if key not in gone}
    return besides(changed_objects(_BEFORE, now) or [], [script])[0]


def test_what_is_named_is_no_surprise() -> None:
    script = 'alter table plate add column size int, add constraint "Odd one" check (size > 0)'
    after = {
        ("column", "public.plate.size"): Definition("public.plate", "integer"),
        ("constraint", 'public.plate."Odd one"'): Definition("public.plate", "CHECK (size > 0)"),
        ("privileges", "table public.plate"): Definition("public.plate", "owner me"),
    }
    assert told(script, after) == []


def test_what_nobody_named_is_told() -> None:
    other = {("index", "public.by_hand"): Definition("public.orders", "CREATE INDEX by_hand")}
    gone = (("view", "public.sizes"),)
    script = "alter table plate add column size int"
    assert told(script, other, gone) == ["index public.by_hand (new)", "view public.sizes (gone)"]
    assert told(script, {("table", "public.seen"): Definition("", "changed")}) == ["table public.seen (different)"]


@pytest.mark.parametrize(
    ("script", "after", "gone"),
    [
        ("drop table plate cascade", {}, (("view", "public.sizes"),)),
        (
            "alter table plate rename to dish",
            {("view", "public.sizes"): Definition("", "SELECT size FROM public.dish")},
            (),
        ),
        ("select 1", {("table", "public.seen_2026"): Definition("", "partition of public.seen FOR VALUES")}, ()),
        ("select 1", {("table", "public._prisma_migrations"): Definition("", "")}, ()),
        ("create table t (id serial)", _COUNTS, ()),
    ],
)
def test_what_goes_along(script: str, after: Known, gone: tuple[tuple[str, str], ...]) -> None:
    assert told(script, after, gone) == []


_ORDERS: Known = {
    ("table", "public.orders"): Definition("", ""),
    ("column", "public.orders.status"): Definition("public.orders", "text"),
    ("index", "public.orders_status"): Definition(
        "public.orders", "CREATE INDEX orders_status ON public.orders (status)"
    ),
    ("constraint", "public.orders.orders_fk"): Definition(
        "public.orders", "FOREIGN KEY (id) REFERENCES public.plate(id)"
    ),
    ("privileges", "table public.orders"): Definition("public.orders", "owner me"),
    ("trigger", "public.orders.noted"): Definition("public.orders", "CREATE TRIGGER noted"),
    ("policy", "public.orders.own"): Definition("public.orders", "permissive"),
    ("function", "public.pay(integer)"): Definition("", "CREATE FUNCTION pay"),
    ("privileges", "function public.pay(integer)"): Definition("", "owner me"),
    ("view", "public.open_orders"): Definition("", "SELECT status FROM public.orders"),
    ("enum", "public.mood"): Definition("", "'a'"),
    ("sequence", "public.orders_id_seq"): Definition("", "owned by public.orders.id"),
    ("setting", "default_transaction_read_only"): Definition("", "off"),
    ("comment", "table public.orders"): Definition("", "all of them"),
}
_USUAL = """
alter table plate add column note text; create index plate_note on plate (note); drop table if exists old cascade;
create table note (id int, orders int, status text, pay int); grant select on table plate to public;
create function f(integer) returns int language sql as 'select 1'; alter table plate drop column status cascade;
create type colour as enum ('a'); comment on table plate is 'plates'
"""


@pytest.mark.parametrize("key", _ORDERS)
@pytest.mark.parametrize("gone", [True, False])
def test_a_change_of_each_kind_beside_an_everyday_migration_is_told(key: tuple[str, str], gone: bool) -> None:
    before = _BEFORE | _ORDERS
    after = {at: one for at, one in before.items() if at != key}
    after |= {} if gone else {key: Definition(before[key].of, f"{before[key].text} changed")}
    found, anything = besides(changed_objects(before, after) or [], [_USUAL])
    assert not anything
    assert [one.partition(" (")[0] for one in found] == [f"{key[0]} {key[1]}"]


@pytest.mark.parametrize(
    ("script", "kind", "name"),
    [
        (f"create table {'x' * 70} ()", "table", f"public.{'x' * 63}"),
        ("create type fr as range (subtype = float8)", "privileges", "function public.fr_multirange()"),
        ("grant select on all tables in schema public to public", "privileges", "table public.orders"),
        ("drop index orders_status", "index", "public.orders_status"),
        ("alter database shop set work_mem = 64", "setting", "work_mem"),
    ],
)
def test_what_is_said_in_other_words(script: str, kind: str, name: str) -> None:
    before = _BEFORE | _ORDERS
    after = {at: one for at, one in before.items() if at != (kind, name)}
    after |= {} if (kind, name) in before else {(kind, name): Definition("", "new")}
    assert besides(changed_objects(before, after) or [], [script])[0] == []


def test_a_schema_that_is_renamed_takes_all_along() -> None:
    before: Known = {("schema", "a"): Definition("", ""), ("table", "a.t"): Definition("", "")}
    after: Known = {("schema", "b"): Definition("", ""), ("table", "b.t"): Definition("", "")}
    assert besides(changed_objects(before, after) or [], ["alter schema a rename to b"])[0] == []


def test_a_partition_that_is_detached_is_made_by_the_clock() -> None:
    before = _BEFORE | {("table", "public.seen_1"): Definition("", "partition of public.seen FOR VALUES")}
    after = before | {("table", "public.seen_1"): Definition("", "")}
    assert changed_objects(before, after) == []


def test_of_many_objects_none_is_passed_over() -> None:
    many: Known = {("table", f"public.t{number}"): Definition("", "") for number in range(900)}
    after = {at: one for at, one in (_BEFORE | _ORDERS | many).items() if at != ("view", "public.open_orders")}
    script = ";".join(f"create table t{number} ()" for number in range(900))
    assert besides(changed_objects(_BEFORE | _ORDERS, after) or [], [script])[0] == ["view public.open_orders (gone)"]


def test_what_a_block_does_is_not_known() -> None:
    assert besides([], ["do 'begin end'"]) == ([], True)
    assert besides([], ["create table t ()"]) == ([], False)


def test_without_a_look_nothing_is_known() -> None:
    assert changed_objects(None, _BEFORE) is None
