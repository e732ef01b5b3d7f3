"""Between two looks a table becomes a view: nothing of it is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.migrations.undo.looking import counted, failed, half
from tabsync.postgres.catalog import identity
from tabsync.workspace import Workspace
from tests.postgres.migrations.history import History, half_done

_SWAP = """
create sequence ran;
create function evil() returns setof bigint language sql volatile as 'select nextval(''ran'')';
alter table t rename to t2;
create view t as select id, null::int as a from evil() id;
"""


@pytest.mark.parametrize("script", ["create table t (id bigint, a int)", "alter table t add column a int"])
def test_a_view_that_took_the_name_of_a_table_is_not_counted(
    script: str, databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table t (id bigint)" if "alter" in script else "select 1")
    half_done(history, "2_broken", f"{script}; insert into t values (1); select 1/0")
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        ledger, migration = workspaces(history.conninfo).ledger(), failed(session, history.folder, "2_broken")
        (act,) = half(session, ledger, identity(session), migration, ["public"]).acts
        assert counted(session, act) == (0 if "alter" in script else 1)
        for one in _SWAP.strip().removesuffix(";").split(";\n"):
            session.execute(one.encode())
        with pytest.raises(Refused, match="not the table that it was"):
            counted(session, act)
        assert session.execute("select is_called from ran").fetchone() == (False,)
