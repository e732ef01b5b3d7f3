"""What a step leaves open: filled in as a value, never as SQL or as an option, whatever the value is."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import BadUsage
from tabsync.manual.left_open import wrong_in
from tabsync.manual.model import Step, StepKind
from tabsync.manual.parts import Command
from tabsync.runbooks.placeholders import filled, open_in

EVIL = "x'; drop table users; --"


def of_sql(block: str) -> Step:
    return Step(number=1, text="Do it", kind=StepKind.SQL_WRITE, block=block, commands=(), line=1, block_line=1)


def of_command(*words: str) -> Step:
    commands = (Command(text=" ".join(words), words=words, line=1),)
    return Step(number=1, text="Do it", kind=StepKind.COMMAND, block="", commands=commands, line=1, block_line=1)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("select <pid>", "select 'x''; drop table users; --'"),
        ("select '<pid>', 'it''s'", "select 'x''; drop table users; --', 'it''s'"),
        ("select '%' || <pid> || '%'", "select '%' || 'x''; drop table users; --' || '%'"),
        ("select 1 -- for <pid>\n, <pid>", "select 1 -- for <pid>\n, 'x''; drop table users; --'"),
        ('select "a" from t /* by <pid> */', 'select "a" from t /* by <pid> */'),
        ("select a <-> b, c <@> d from t", "select a <-> b, c <@> d from t"),
        ("select 'none'", "select 'none'"),
    ],
)
def test_a_value_is_a_literal(block: str, expected: str) -> None:
    assert filled(of_sql(block), {"pid": EVIL}).block.replace(" '", "'") == expected.replace(" '", "'")


@pytest.mark.parametrize(
    "block",
    [
        "select '%<pid>%'",
        "select '<pid> '",
        'select "<pid>"',
        "select $$<pid>$$",
        "select $a$'$a$, <pid>",
        "select E'\\'', <pid>",
        "select u&'a', <pid>",
        "select /* /* */ <pid> */ 1",
        "select 'open, <pid>",
        "select /* open, <pid>",
    ],
)
def test_where_a_value_could_become_sql_nothing_is_filled_in(block: str) -> None:
    assert wrong_in(block)
    with pytest.raises(BadUsage):
        filled(of_sql(block), {"pid": "4711"})


@given(st.text(max_size=30).filter(lambda text: "\x00" not in text))
def test_no_value_changes_the_statement(value: str) -> None:
    """Whatever it is, the statement that is read has one literal with it, and nothing else."""
    block = filled(of_sql("select 1 from t where a = <pid> and b = '<pid>'"), {"pid": value}).block
    (found,) = sqlglot.parse(block, dialect="postgres")
    assert found is not None
    assert found.find(sqlglot.exp.Drop) is None
    assert [one.name for one in found.find_all(sqlglot.exp.Column)] == ["a", "b"]


def test_a_value_is_no_option() -> None:
    step = of_command("connections", "terminate", "<pid>", "--limit=<limit>")
    assert open_in(step) == ("pid", "limit")
    for value in ("--idle-for=1s", "-d", "--", "-1"):
        with pytest.raises(BadUsage, match="begins with a dash"):
            filled(step, {"pid": value})
    assert filled(step, {"pid": "4711", "limit": "-5"}).commands[0].words[2:] == ("4711", "--limit=-5")
