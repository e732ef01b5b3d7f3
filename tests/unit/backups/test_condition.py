"""A condition that can't be one is known from its words; what PostgreSQL might take is let through."""

from __future__ import annotations

import pytest

from tabsync.backups.restore.rows.condition import why_not


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "id = 7",
        "id = '7; drop table x'",
        "name = 'O''Brien'",
        r"name = E'it\'s'",
        "name = e'a''b'",
        "name = $$it's (one$$",
        "name = $q$ $$ ( $q$",
        'people."odd ""(name" = 1',
        "id in (select 1) -- it's ( all",
        "/* ( /* nested ' */ ; */ id = 1",
        "a =-1",
        "a = - 1",
        "-a < 0",
        "@ a > 1",
        "not done",
        "t.and",
        "people.* is not null",
        "people.*",
        "a operator(pg_catalog.=) b",
        "tags[1] = 'x' and tags @> array['y']",
        "true) or (true",
        "a ? 'key'",
        "a - > 'x'",
        "ünïcode = 'ä'",
        "a is null",
        "type'x' = y",
        "price$ = 1",
        "left",
    ],
)
def test_what_might_be_one_is_let_through(condition: str) -> None:
    assert why_not(condition) == ""


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("id = '7", "never closed"),
        ('"id = 7', "never closed"),
        ("id = 7 /* why", "never closed"),
        ("id in (1, 2", "1 '(' and 0 ')'"),
        ("tags[1 = 2", "1 '[' and 0 ']'"),
        ("id = 7)", "0 '(' and 1 ')'"),
        ("id = 7; drop table people", "semicolon"),
        ("where id = 7", "begins with where"),
        ("= 7", "begins with ="),
        ("AND id = 7", "begins with AND"),
        ("id =", "ends with ="),
        ("id = 7 and", "ends with and"),
        ("id = 7 ||", "ends with ||"),
        ("id = = 7", "nothing follows ="),
        ("-- nothing", "it is empty"),
    ],
)
def test_what_cannot_be_one_is_told(condition: str, why: str) -> None:
    assert why in why_not(condition)
