"""Parameters of a statement, told apart from what only looks like one; and the table of an INSERT."""

from __future__ import annotations

import pytest

from tabsync.postgres.scan import parameters, without_parameters


@pytest.mark.parametrize(
    ("sql", "plain", "count"),
    [
        ("select $1", "select null", 1),
        ("select a from t where b=$2 and c = any($1)", "select a from t where b=null and c = any(null)", 2),
        ("select '$1', \"$2\" -- $3\n", "select '$1', \"$2\" -- $3\n", 0),
        ("select 1 /* $4 */", "select 1 /* $4 */", 0),
        ("insert into t (a) values ($1)", "insert into t as tabsync_target (a) values (null)", 1),
        ('INSERT INTO s . "T"(a) select 1', 'INSERT INTO s . "T" as tabsync_target (a) select 1', 0),
        ("insert into t as x (a) values (1)", "insert into t as x (a) values (1)", 0),
        ("insert into t values (1)", "insert into t values (1)", 0),
        (
            "insert /* x */ into -- y\n t/**/(a) values (1)",
            "insert /* x */ into -- y\n t/**/ as tabsync_target (a) values (1)",
            0,
        ),
    ],
)
def test_parameters(sql: str, plain: str, count: int) -> None:
    assert " ".join(without_parameters(sql).split()) == " ".join(plain.split())
    assert parameters(sql) == count


@pytest.mark.parametrize("sql", ["select $$ x $$", "select $a$ x $a$", "select a$1", "select $1a", "select 1$1", "$"])
def test_what_is_no_parameter_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        without_parameters(sql)
