"""Which entries of a dump a table needs, on a dump small enough to be read."""

from __future__ import annotations

import pytest

from tabsync.copies.dumps.selection import select, without
from tabsync.kernel.errors import BadUsage
from tabsync.postgres.catalog import Relation
from tabsync.postgres.toc import Entry


def entry(dump_id: int, kind: str, name: str, *needs: int, text: str = "", file: str = "") -> Entry:
    schema = "" if kind == "SCHEMA" else "shop"
    return Entry(dump_id, kind, schema, name, "me", text, "", "", "", needs, file)


DUMP = (
    entry(1, "SCHEMA", "shop"),
    entry(2, "TYPE", "role", 1),
    entry(3, "TYPE", "unused", 1),
    entry(4, "FUNCTION", "helper(integer)", 1),
    entry(5, "FUNCTION", "touch()", 1, text="begin perform helper(1); end"),
    entry(6, "TABLE", "users", 1, 2),
    entry(7, "TABLE", "orders", 1),
    entry(8, "SEQUENCE", "users_id_seq", 1),
    entry(9, "SEQUENCE", "orders_id_seq", 1),
    entry(10, "SEQUENCE OWNED BY", "users_id_seq", 6, 8),
    entry(11, "DEFAULT", "users id", 6, 8),
    entry(12, "TABLE DATA", "users", 6, file="12.dat"),
    entry(13, "TABLE DATA", "orders", 7, file="13.dat"),
    entry(14, "SEQUENCE SET", "users_id_seq", 8),
    entry(15, "CONSTRAINT", "users users_pkey", 6),
    entry(16, "FK CONSTRAINT", "orders orders_user_fkey", 7, 6, 15),
    entry(17, "TRIGGER", "users touch", 6, 5),
    entry(18, "COMMENT", "TYPE unused", 3),
    entry(19, "ACL", "TABLE users", 6),
    entry(20, "VIEW", "names", 1, 6),
)
USERS, ORDERS, NAMES = (Relation("shop", name) for name in ("users", "orders", "names"))


def test_a_table_comes_with_what_it_needs_and_what_belongs_to_it() -> None:
    found = select(DUMP, [USERS])
    assert found.dump_ids == (1, 2, 4, 5, 6, 8, 10, 11, 12, 14, 15, 17, 19)
    assert found.left_out == ()


def test_a_foreign_key_to_a_table_that_is_not_chosen_is_left_out_and_named() -> None:
    found = select(DUMP, [ORDERS])
    assert found.dump_ids == (1, 7, 13)
    assert found.left_out == ("fk constraint orders_user_fkey of shop.orders: needs shop.users",)
    assert 16 in select(DUMP, [ORDERS, USERS]).dump_ids


def test_a_view_comes_with_the_rows_that_it_reads() -> None:
    found = select(DUMP, [NAMES])
    assert {6, 12, 20} <= set(found.dump_ids)
    assert found.tables == (USERS, NAMES)


def test_what_the_target_has_is_not_touched() -> None:
    kept = without(DUMP, select(DUMP, [USERS]), {1, 2, 8})
    assert kept == (4, 5, 6, 11, 12, 15, 17, 19)


def test_near_names_are_offered() -> None:
    with pytest.raises(BadUsage) as told:
        select(DUMP, [Relation("public", "users")])
    assert "shop.users" in told.value.hint
