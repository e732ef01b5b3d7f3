"""SQL that may not end the transaction that it is run in."""

from __future__ import annotations

import pytest

from tabsync.postgres.transaction_text import in_one_transaction


@pytest.mark.parametrize(
    "sql",
    [
        "update t set v = 1; rollback",
        "begin; update t set v = 1",
        "/* at the end */ End",
        "update t set v = 1; prepare transaction 'x'",
        "abort work",
        "rollback and chain",
        "start transaction",
        "copy t from stdin",
        "copy (select 1) to stdout",
    ],
)
def test_it_is_refused(sql: str) -> None:
    assert len(in_one_transaction(sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "update t set v = 'commit; rollback'",
        "savepoint a; update t set v = 1; rollback to savepoint a",
        "do $$ begin perform 1; end $$; update t set v = 1",
        "update t set v = case when w then 1 else 2 end -- ; commit",
        'update "commit" set v = 1; delete from begin',
        "create function f() returns int begin atomic select 1; select 2; end; update t set v = f()",
        "prepare find as select 1; execute find",
    ],
)
def test_everything_else_is_not(sql: str) -> None:
    assert in_one_transaction(sql) == []
