"""`tabsync restore diff` as a person runs it: what it prints, the command that it names, what the console shows."""

from __future__ import annotations

import shlex
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.ledger.runs import one_run
from tabsync.procedures import page_of
from tabsync.workspace import find
from tests.conftest import Databases
from tests.postgres.cli.program import tabsync
from tests.postgres.restore.compared import database, fill

_SHOP = """
create table guests (id int primary key, name text not null);
create table visits (id int primary key, guest int references guests, at date);
insert into guests select n, 'guest ' || n from generate_series(1, 20) n;
insert into visits select n, 1 + n % 20, '2026-11-22' from generate_series(1, 60) n;
"""


@pytest.fixture
def shop(databases: Databases, directory: Path) -> tuple[Path, str, str]:
    """A directory with a tabsync.toml; a restored database, and the one that was written to since."""
    new, old = databases(), databases()
    for conninfo in (new, old):
        fill(conninfo, _SHOP)
    (directory / "tabsync.toml").write_text(f'database = "{old}"\n')
    return directory, new, old


def test_rows_go_over_by_the_command_that_it_names(shop: tuple[Path, str, str]) -> None:
    directory, new, old = shop
    words = ("restore", "diff", database(new), database(old))
    same = tabsync(directory, *words)
    assert (same.code, same.out.splitlines()[0]) == (0, "SAME: 2 tables, 80 rows, all objects")
    fill(old, "insert into guests values (21, 'late'); insert into visits values (61, 21, '2026-11-23')")
    fill(old, "update guests set name = 'otherwise' where id = 2")
    differs = tabsync(directory, *words)
    assert differs.code == 1
    first = f"2 TABLES DIFFER: 2 rows only in {database(old)}, 1 row different"
    assert differs.out.splitlines()[0] == first
    assert max(map(len, differs.out.splitlines())) <= 100
    hint = next(line for line in differs.err.splitlines() if line.startswith("hint: "))
    command, _, also = hint.partition(" into ")[2].partition(": ")[2].partition(";")
    assert also == " --replace also overwrites those that differ"
    typed = shlex.split(command)[1:]
    shown = tabsync(directory, *typed)
    assert "public.guests: 1 missing, 1 different, 19 the same" in shown.out
    typed.remove("--dry-run")
    assert tabsync(directory, *typed, "--replace", "--yes").code == 0
    visits = [word.replace("guests", "visits") for word in typed]
    assert tabsync(directory, *visits).code == 0
    assert tabsync(directory, *words, "--json").json["verdict"] == "same"
    assert tabsync(directory, "restore", "diff", "none", database(old)).code == 2


def test_the_console_shows_counts_and_no_values(shop: tuple[Path, str, str]) -> None:
    directory, new, old = shop
    fill(old, "insert into guests values (21, 'late')")
    assert tabsync(directory, "restore", "diff", database(new), database(old)).code == 1
    workspace = find(directory / "tabsync.toml")
    page = page_of(workspace, one_run(workspace.ledger(), "latest") or {})
    assert page is not None
    text = str(page.blocks)
    assert page.headline == f"1 TABLE DIFFERS: 1 row only in {database(old)}"
    assert "definitions and values of rows are not kept on record" in text
    assert "late" not in text
    workspace.close()


def test_a_password_is_neither_recorded_nor_shown(shop: tuple[Path, str, str]) -> None:
    directory, new, old = shop
    name = f"reader_{database(new)}"
    role = sql.Identifier(name)
    with psycopg.connect(old, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} superuser login password 's3cr3tword'").format(role))
        other = make_conninfo(new, user=name, password="s3cr3tword")
        done = tabsync(directory, "restore", "diff", database(new), database(old), "--new-server", other, "--json")
        connection.execute(sql.SQL("drop role {}").format(role))
    assert done.code == 0, done.err
    workspace = find(directory / "tabsync.toml")
    recorded = str(one_run(workspace.ledger(), "latest"))
    assert "'elsewhere': True" in recorded
    assert "s3cr3tword" not in recorded + done.out + done.err
    workspace.close()
