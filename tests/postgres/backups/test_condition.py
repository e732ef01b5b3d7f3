"""What is refused as a condition, PostgreSQL refuses too: held against its own parser, on conditions of all kinds."""

from __future__ import annotations

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tabsync.backups.restore.rows.condition import why_not
from tests.conftest import Databases

_WORDS = """a t.and t.* = < <> <= ! @ -> || - + * ( ) [ ] , . ; :: 1 $1 'x' 'it''s' E'\\\\'' ' " "q""q" $$ $q$ $q$x$q$ $
and or not in like between where is null true case when end /* */ -- \\n E U& as array any operator(pg_catalog.=) #>>"""

CONDITIONS = st.lists(st.sampled_from([word.replace("\\n", "\n") for word in _WORDS.split()]), max_size=7)


def is_syntax_error(connection: psycopg.Connection[object], condition: str) -> bool:
    """Whether PostgreSQL's grammar has no such condition; names are looked up only after that."""
    query = sql.SQL("select from pg_catalog.nothing_of_that_name as t where (") + sql.SQL(condition) + sql.SQL("\n)")
    try:
        connection.execute(query.as_bytes(connection), prepare=True)
    except psycopg.errors.SyntaxError:
        return True
    except psycopg.Error:
        return False
    return False


def test_nothing_is_refused_that_the_server_would_take(databases: Databases) -> None:
    with psycopg.connect(databases(), autocommit=True) as connection:

        @settings(max_examples=500, deadline=None, database=None)
        @given(CONDITIONS, st.sampled_from(["", " "]))
        def check(words: list[str], between: str) -> None:
            condition = between.join(words)
            if why_not(condition):
                assert is_syntax_error(connection, condition), (condition, why_not(condition))

        check()
