"""Names of tables: shown as SQL would read them, and found again from what a manual says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.postgres.catalog import ForeignKey, Relation, foreign_key_from_json, quoted, relation_named

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def unquoted(text: str) -> str:
    """What PostgreSQL makes of an identifier."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


@given(NAMES)
def test_a_quoted_name_is_the_name_to_postgresql(name: str) -> None:
    shown = quoted(name)
    assert unquoted(shown) == name
    assert _PLAIN.fullmatch(shown) or (shown[0] == shown[-1] == '"' and '"' not in shown[1:-1].replace('""', ""))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("orders", "orders"),
        ("_x1", "_x1"),
        ("Orders", '"Orders"'),
        ("1st", '"1st"'),
        ("two words", '"two words"'),
        ('a"b', '"a""b"'),
        ("é", '"é"'),
        ("", '""'),
        ("a.b", '"a.b"'),
    ],
)
def test_quotes_stand_only_where_they_are_needed(name: str, shown: str) -> None:
    assert quoted(name) == shown


@pytest.mark.parametrize(
    ("name", "relation"),
    [
        ("users", Relation("public", "users")),
        ("app.users", Relation("app", "users")),
        ("pg_catalog.pg_class", Relation("pg_catalog", "pg_class")),
        ('"Sales 2025"."Order Items"', Relation("Sales 2025", "Order Items")),
        ('app."a.b"', Relation("app", "a.b")),
        ('"we""ird"', Relation("public", 'we"ird')),
        ("Users", Relation("public", "Users")),
    ],
)
def test_a_table_as_a_manual_names_it(name: str, relation: Relation) -> None:
    assert relation_named(name) == relation


@given(NAMES, NAMES)
def test_a_relation_as_it_is_shown_is_found_again(schema: str, name: str) -> None:
    assert relation_named(str(Relation(schema, name))) == Relation(schema, name)


@given(st.builds(Relation, NAMES, NAMES), st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.booleans())
def test_a_foreign_key_is_read_as_it_was_kept(table: Relation, columns: tuple[str, ...], validated: bool) -> None:
    key = ForeignKey("fk", table, columns, Relation("public", "t"), columns[::-1], validated, "s")
    assert foreign_key_from_json(key.to_json()) == key
