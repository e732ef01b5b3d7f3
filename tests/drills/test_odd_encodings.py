"""Databases that are not in UTF-8: their names come back, and what they wrote beside others stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.init.inspect import Findings, manual_text
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.every_procedure import carried_out
from tests.drills.test_drill import drill
from tests.drills.test_odd_databases import fill

_COMMENT = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
_WORDS = {"LATIN1": "café ü", "EUC_JP": "表 テスト", "WIN1251": "таблица"}


@pytest.fixture(params=list(_WORDS))
def other(request: pytest.FixtureRequest, server: embedded.Server) -> Iterator[tuple[str, str]]:
    """A connection string to a database in another encoding, and a name in its letters."""
    encoding, name = request.param, f"other_{request.param.lower()}"
    run_sql(server.conninfo(), "create database {} encoding " + f"'{encoding}' locale 'C' template template0", name)
    word = _WORDS[encoding]
    fill(
        server.conninfo(name),
        f'create table "{word}" ("{word}" int primary key, note text); insert into "{word}" values (1, \'{word}\');'
        f"comment on table \"{word}\" is '{word}'; comment on database {name} is '{word}'",
    )
    yield server.conninfo(name), word
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for (one,) in connection.execute("select datname from pg_database where datname like 'other%'").fetchall():
            run_sql(server.conninfo(), "drop database {} with (force)", one)


def test_names_in_other_letters_come_back(
    other: tuple[str, str], workspaces: Callable[..., Workspace], tmp_path: Path
) -> None:
    conninfo, word = other
    manual = tmp_path / "manual.md"
    manual.write_text(manual_text(Findings({"database": "odd", "version": "17"}, "self-hosted", (), (), (), 0)))
    workspace = workspaces(conninfo, manual)
    report = drill(workspace)
    assert report.data["error"] is None
    assert [(one["name"], one["identical"]) for one in report.data["tables"]] == [(word, True)]
    made = carried_out(workspace, plan_restore_new(workspace)).results["verify"]
    assert made["rows"] == 1
    with connect(make_conninfo(conninfo, dbname=made["database"]), "tests") as connection:
        assert connection.execute(_COMMENT, [made["database"]]).fetchone() == (word,)
    assert carried_out(workspace, plan_restore_tables(workspace, [word])[0]).results["verify"]["rows"] == 1
    carried_out(workspace, plan_restore_in_place(workspace))


def test_what_another_database_wrote_is_read_as_it_stands(other: tuple[str, str], server: embedded.Server) -> None:
    name = str(conninfo_to_dict(other[0])["dbname"])
    with connect(server.conninfo(), "tests") as connection:
        row = connection.execute(_COMMENT, [name]).fetchone()
    assert row is not None
    assert "\\x" in row[0]
