"""Every SQL statement of the manual that the profile was made for runs as it stands there."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
import pytest
import sqlglot

from .conftest import SEED

_BLOCK = re.compile(r"^(?P<indent> *)```sql\n(?P<sql>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)

KNOWN_ERRORS = {
    # pg_stat_user_tables calls it relname in every version: the manual took the name from pg_tables.
    ("Database Health Checks", "Dead tuples (need VACUUM?)"): "42703",
    # pg_stat_user_indexes calls them relname and indexrelname.
    ("Database Health Checks", "Index usage"): "42703",
}
"""Statements that no PostgreSQL runs, by heading and comment, with the SQLSTATE that they end with."""


@dataclass(frozen=True, slots=True)
class Block:
    """A ```sql block and the nearest heading above it."""

    heading: str
    number: int
    statements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.heading} ({self.number})"


def blocks() -> list[Block]:
    """The blocks of all files of the seed, in their order."""
    found: list[Block] = []
    for file in sorted(SEED.glob("*.txt")):
        text = file.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            heading = re.findall(r"^#+ (.+)$", text[: match.start()], re.MULTILINE)[-1]
            number = sum(block.heading == heading for block in found) + 1
            found.append(Block(heading, number, tuple(statements(textwrap.dedent(match["sql"])))))
    return found


def statements(text: str) -> list[str]:
    """A script cut at its semicolons, each statement with the comment before it, to the letter."""
    ends = [token.end for token in sqlglot.tokenize(text, dialect="postgres") if token.token_type.name == "SEMICOLON"]
    return [text[start:end].strip() for start, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]


def comment(statement: str) -> str:
    """The first line of comment of a statement, "" without one."""
    found = re.match(r"-- (.+)", statement)
    return found[1] if found else ""


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_statements_run_as_they_stand(block: Block, profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        for statement in block.statements:
            expected = KNOWN_ERRORS.get((block.heading, comment(statement)))
            assert (comment(statement), run(conn, statement)) == (comment(statement), expected)


def test_seed_is_read_to_its_end() -> None:
    assert len(blocks()) == 12
    assert sum(len(block.statements) for block in blocks()) == 32
    headed = {(block.heading, comment(statement)) for block in blocks() for statement in block.statements}
    assert KNOWN_ERRORS.keys() <= headed


def test_promotion_changes_the_role_and_leaves_a_trace(profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        play(conn, "Promote User to Super Admin")
        roles = conn.execute("SELECT role::text FROM users WHERE email = 'user@example.com'").fetchall()
        trace = conn.execute(
            "SELECT new_value ->> 'role' FROM audit_logs JOIN users ON users.id::text = entity_id"
            " WHERE action = 'ROLE_CHANGE' AND email = 'user@example.com'"
        ).fetchall()
    assert (roles, trace) == ([("SUPER_ADMIN",)], [("SUPER_ADMIN",)])


def test_enum_is_recreated_without_admin(profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        play(conn, "Alternative: Recreate Enum Type")
        labels = labels_of_user_role(conn)
    assert "ADMIN" not in labels
    assert len(labels) == 6


def test_enum_is_not_recreated_while_somebody_is_admin(profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        play(conn, "Rollback Procedure")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            play(conn, "Alternative: Recreate Enum Type")
        conn.execute("ROLLBACK")
        assert "ADMIN" in labels_of_user_role(conn)


def labels_of_user_role(conn: psycopg.Connection[Any]) -> list[str]:
    """The labels that the type of users.role has."""
    return [
        label
        for (label,) in conn.execute(
            "SELECT enumlabel FROM pg_enum JOIN pg_attribute ON atttypid = enumtypid"
            " WHERE attrelid = 'users'::regclass AND attname = 'role'"
        )
    ]


def play(conn: psycopg.Connection[Any], heading: LiteralString) -> None:
    """Run the first block under a heading."""
    block = next(block for block in blocks() if block.heading == heading)
    for statement in block.statements:
        conn.execute(statement.encode())


def run(conn: psycopg.Connection[Any], statement: str) -> str | None:
    """Run a statement; returns the SQLSTATE that it failed with, None when it did not."""
    try:
        conn.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate
    return None
