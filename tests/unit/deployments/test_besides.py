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


def test_what_a_block_does_is_not_known() -> None:
    assert besides([], ["do 'begin end'"]) == ([], True)
    assert besides([], ["create table t ()"]) == ([], False)


def test_without_a_look_nothing_is_known() -> None:
    assert changed_objects(None, _BEFORE) is None
