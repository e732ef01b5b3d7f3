"""What pg_dump writes about a database is said of another one, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.copies.dumps.properties import renamed, split, statements
from tabsync.postgres.toc import Entry


def entry(kind: str, name: str, text: str, owner: str = "me") -> Entry:
    return Entry(1, kind, "", name, owner, text, "", "", "", (), "")


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER DATABASE {} CONNECTION LIMIT = 17",
        "ALTER DATABASE {} IS_TEMPLATE = true",
        "ALTER DATABASE {} SET search_path TO 'app', 'public'",
        "ALTER DATABASE {} SET \"my.thing\" TO E'a''b\n;c\\\\d'",
        "ALTER ROLE \"ro; user\" IN DATABASE {} SET work_mem TO '8MB'",
        "REVOKE CONNECT,TEMPORARY ON DATABASE {} FROM PUBLIC",
        'GRANT CREATE ON DATABASE {} TO "gr ""x" WITH GRANT OPTION',
        "COMMENT ON DATABASE {} IS 'it''s; on DATABASE x'",
        "SECURITY LABEL FOR dummy ON DATABASE {} IS 'secret'",
    ],
)
def test_the_name_is_exchanged_and_nothing_else(statement: str) -> None:
    before, after = statement.format('"Set\'d ""x; "'), statement.format('"new one"')
    assert renamed(before, "new one") == after
    assert list(split(f"{before};\n{before};\n")) == [before, before]


@pytest.mark.parametrize(
    "text",
    [
        "DROP DATABASE shop",
        "ALTER ROLE bk SUPERUSER",
        "ALTER DATABASE",
        "SET SESSION AUTHORIZATION bk DROP",
        "GRANT pg_read_all_data TO bk",
        "CREATE TABLE t (ON DATABASE x int)",
    ],
)
def test_other_statements_are_left_out(text: str) -> None:
    assert renamed(text, "new") == ""


def test_owner_first_and_without_owners_no_grants() -> None:
    entries = [
        entry("DATABASE", "shop", "CREATE DATABASE shop", "own"),
        entry("ACL", "DATABASE shop", "REVOKE CONNECT ON DATABASE shop FROM PUBLIC;\n"),
        entry("ACL", "TABLE t", "GRANT SELECT ON TABLE t TO x;\n"),
        entry("DATABASE PROPERTIES", "shop", "ALTER DATABASE shop CONNECTION LIMIT = 1;\n"),
    ]
    limit = 'ALTER DATABASE "new" CONNECTION LIMIT = 1'
    revoke = 'REVOKE CONNECT ON DATABASE "new" FROM PUBLIC'
    assert statements(entries, "new") == ['ALTER DATABASE "new" OWNER TO "own"', revoke, limit]
    assert statements(entries, "new", no_owner=True) == [limit]


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_quoted_stays_one_statement(name: str, value: str) -> None:
    literal = "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    text = f'ALTER DATABASE "{name.replace(chr(34), chr(34) * 2)}" SET a.b TO {literal}'
    assert list(split(text + ";\n")) == [text]
    assert renamed(text, "other") == f'ALTER DATABASE "other" SET a.b TO {literal}'


@given(st.text(max_size=40))
def test_no_text_makes_a_statement_of_another_kind(text: str) -> None:
    for one in split(text):
        assert renamed(one, "x") == "" or '"x"' in renamed(one, "x") or "SESSION AUTHORIZATION" in one
