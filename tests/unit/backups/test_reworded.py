"""What PostgreSQL may write otherwise once it has read it: casts and parentheses, in queries more, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tabsync.copies.proofs.read_again import unlike
from tabsync.copies.proofs.reworded import in_other_words
from tabsync.copies.restores.different import Difference
from tabsync.postgres.toc import Entry

_BEFORE = "((kind)::text = ANY ((ARRAY['a'::character varying, 'b)'::character varying])::text[]))"
_AFTER = "((kind)::text = ANY (ARRAY[('a'::character varying)::text, ('b)'::character varying)::text]))"


def entry(kind: str, definition: str) -> Entry:
    return Entry(1, kind, "public", "x", "me", definition, "", "", "", (), "", "post-data")


def reads(kind: str, first: str, second: str) -> bool:
    return in_other_words(entry(kind, first), entry(kind, second))


@pytest.mark.parametrize("kind", ["TABLE", "INDEX", "DOMAIN", "POLICY", "TRIGGER", "STATISTICS", "DEFAULT"])
def test_casts_may_move(kind: str) -> None:
    assert reads(kind, f"CREATE x WHERE {_BEFORE};\n", f"CREATE x WHERE {_AFTER};\n")


@pytest.mark.parametrize(
    "cast",
    [
        "::integer",
        "::numeric(10,2)",
        "::timestamp(3) without time zone",
        "::double precision",
        '::public."My type"[]',
        '::"S".t',
        "::bit varying(7)",
        '::"S"."T"[][]',
    ],
)
def test_a_cast_of_any_type_is_known_to_its_end(cast: str) -> None:
    assert reads("INDEX", f"(a{cast} + b)", "((a + b))")
    assert not reads("INDEX", f"(a{cast} + b)", "((a + c))")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("CREATE INDEX x ON t (a);", "CREATE INDEX x ON t (a);"),
        ("a = 'x'::text", "a = 'y'::text"),
        ("a = '(b)'", "a = 'b'"),
        ("    a integer NOT NULL,\n    b text", "    a integer,\n    b text"),
        ("    a integer,\n    b text", "    b text,\n    a integer"),
        ("    a timestamp with time zone", "    a timestamp without time zone"),
    ],
)
def test_all_else_is_a_difference(first: str, second: str) -> None:
    assert not reads("TABLE", first, second)


def test_the_name_of_a_not_null_may_be_another_one() -> None:
    """Since PostgreSQL 18, CREATE TABLE ... (LIKE ...) takes the names along, and the first in a dump has them."""
    assert reads("TABLE", "    a integer NOT NULL,", "    a integer CONSTRAINT t_a_not_null1 NOT NULL,")
    assert reads("TABLE", '    CONSTRAINT "of ""t""" NOT NULL a', "    CONSTRAINT t_a NOT NULL a")
    assert not reads("TABLE", "    a integer NOT NULL,", "    a integer CONSTRAINT t_a CHECK (a > 0),")


def test_of_a_query_what_stands_before_it_is_the_same() -> None:
    assert reads("VIEW", "CREATE VIEW v AS\n SELECT 1 AS a;", "CREATE VIEW v AS\n SELECT 1 AS b;")
    assert not reads(
        "VIEW", "CREATE VIEW v WITH (security_barrier='true') AS\n SELECT 1;", "CREATE VIEW v AS\n SELECT (1);"
    )
    assert not reads("FUNCTION", "CREATE FUNCTION f() AS $$ select 1 $$;", "CREATE FUNCTION f() AS $$ select (1) $$;")


@pytest.mark.parametrize(
    "other",
    [
        replace(entry("INDEX", _AFTER), owner="other"),
        replace(entry("INDEX", _AFTER), tablespace="other"),
        replace(entry("INDEX", _AFTER), access_method="other"),
        replace(entry("INDEX", _AFTER), schema="other"),
    ],
)
def test_what_is_about_the_object_is_the_same(other: Entry) -> None:
    assert not in_other_words(entry("INDEX", _BEFORE), other)


def test_only_what_postgresql_writes_so_itself_is_excused() -> None:
    copy = entry("INDEX", _AFTER)
    assert unlike([copy], [copy]) == []
    assert unlike([copy], []) == unlike([copy], [entry("INDEX", _BEFORE)]) == [Difference("index", "public", "x")]
