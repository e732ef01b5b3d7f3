"""What is shown of other people's texts: bounded, without passwords, and nothing that a terminal obeys."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabsync.migrations.checks import _of_alembic, _of_django, _of_prisma
from tabsync.migrations.histories.masked import masked

_FORMS = ("bearer {}{} ", "postgresql://app:{}@db/x ", "password = '{}' ", "password '{} {}' ", "pgpassword={} ")


@pytest.mark.parametrize(
    "text",
    [
        "can't reach postgresql://app:hunter2@db.example.com/shop",
        'datasource url = "postgres://app:hunter2@db/x?sslmode=require"',
        "create role app login password 'hunter2'",
        "CREATE ROLE app PASSWORD E'it''s\\' hunter2'",
        "create user mapping for app server s options (user 'app', password $q$hunter2$q$)",
        "password=hunter2 host=db",
        '{"password": "hunter2"}',
        "Authorization: Bearer hunter2hunter2",
    ],
)
def test_no_password_is_shown(text: str) -> None:
    assert "hunter2" not in masked(text)


@settings(max_examples=25)
@given(st.integers(0, 40), st.sampled_from(_FORMS))
def test_wherever_a_text_is_cut_no_part_of_a_password_is_left(before: int, form: str) -> None:
    text = "x " * (before // 2) + form.format("hunter2hunter2", "hunter2") + "tail " * 4
    for most in range(1, len(text)):
        assert "hunter" not in masked(text, most), (text, most)


@pytest.mark.parametrize("unit", ["a", "a.", "://", "a://b:", "password ", "password '", "'", "$q$", "bearer "])
def test_a_long_text_takes_no_time(unit: str) -> None:
    started = time.process_time()
    assert len(masked(unit * (1_000_000 // len(unit)))) <= 6_000
    assert time.process_time() - started < 5


def test_nothing_is_left_that_a_terminal_obeys() -> None:
    assert (
        masked("\x1b]52;c;cm0gLXJm\x07\x1b[2J\u202e\x9b31m a") == "\ufffd]52;c;cm0gLXJm\ufffd\ufffd[2J\ufffd\ufffd31m a"
    )


def test_the_exit_codes_of_the_checks() -> None:
    assert [_of_prisma(code, "") for code in (0, 1, 2, 127)] == [False, None, True, None]
    assert [_of_django(code, text) for code, text in ((0, ""), (1, "Migrations for 'shop':"), (1, "Traceback"))] == [
        *(False, True, None)
    ]
    new = "FAILED: New upgrade operations detected: [('add_column'"
    assert [_of_alembic(code, text) for code, text in ((0, ""), (255, new), (255, "FAILED: not up to date"))] == [
        *(False, True, None)
    ]
