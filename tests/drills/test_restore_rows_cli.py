"""`tabsync restore rows` as a person runs it, with a user who was deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.drills.test_odd_databases import fill
from tests.postgres.cli.program import Done, tabsync

_EMAIL = "o'hara@example.com"


@pytest.fixture
def shop(tabsync_database: Callable[..., str], directory: Path) -> tuple[Path, str]:
    """A directory with a tabsync.toml, and a database in which a user was deleted after the backup."""
    conninfo = tabsync_database()
    (directory / "tabsync.toml").write_text(f'database = "{conninfo}"\n')
    name = _EMAIL.replace("'", "''")
    fill(conninfo, f"insert into users (email, full_name, role) values ('{name}', 'Maureen O''Hara', 'CUSTOMER')")
    assert tabsync(directory, "backup", "take", "full").code == 0
    fill(conninfo, f"delete from users where email = '{name}'")
    return directory, conninfo


def rows(directory: Path, *words: str) -> Done:
    where = "email = 'o''hara@example.com'"
    return tabsync(directory, "restore", "rows", "--table", "users", "--where", where, *words)


def there(conninfo: str) -> bool:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("select from users where email = %s", [_EMAIL]).fetchone() is not None


def test_a_deleted_user_comes_back_and_goes_again(shop: tuple[Path, str]) -> None:
    directory, conninfo = shop
    shown = rows(directory, "--dry-run")
    assert shown.code == 0
    assert "public.users: 1 missing" in shown.out
    assert "full_name=Maureen" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 100
    assert not there(conninfo)
    told = rows(directory, "--dry-run", "--json").json
    assert (told["kind"], told["tables"][0]["missing"]) == ("row comparison", 1)
    assert told["bytes_read"] > 0
    other = rows(directory, "--expect", "0000")
    assert (other.code, there(conninfo)) == (4, False)
    done = rows(directory, "--expect", told["digest"][:12])
    assert (done.code, there(conninfo)) == (0, True)
    same = rows(directory, "--dry-run")
    assert (same.code, "nothing to restore" in same.err) == (0, True)
    run = done.out.split("--undo ")[1].strip()
    again = rows(directory, "--json")
    assert (again.code, again.json["error"]["fact"]) == (4, "there is nothing to restore")
    undone = tabsync(directory, "restore", "rows", "--undo", run, "--json")
    assert (undone.code, undone.json["deleted"], there(conninfo)) == (0, 1, False)
    assert tabsync(directory, "restore", "rows", "--undo", run).code == 2
    assert tabsync(directory, "restore", "rows").code == 2


def test_no_value_of_a_row_comes_into_the_ledger(shop: tuple[Path, str]) -> None:
    directory, _ = shop
    assert rows(directory).code == 0
    with sqlite3.connect(directory / ".tabsync" / "ledger.sqlite") as ledger:
        text = "\n".join(ledger.iterdump())
    ledger.close()
    assert "restore rows" in text
    assert "Maureen" not in text


def test_replacing_wants_the_name_of_the_database(shop: tuple[Path, str]) -> None:
    directory, conninfo = shop
    fill(conninfo, "update users set full_name = 'x' where id = (select min(id::text)::uuid from users)")
    words = ("restore", "rows", "--table", "users", "--where", "true", "--replace")
    refused = tabsync(directory, *words)
    assert refused.code == 4
    assert "full_name: x -> " in refused.out
    assert "destructive" in refused.err
    assert tabsync(directory, *words, "--yes").code == 0
    assert list((directory / ".tabsync" / "undo").iterdir()) != []


def test_of_many_rows_it_shows_some_and_says_how_many_there_are_more(shop: tuple[Path, str]) -> None:
    directory, conninfo = shop
    fill(conninfo, "delete from audit_logs where id > 3")
    with psycopg.connect(conninfo) as connection:
        left = connection.execute("select count(*) from audit_logs").fetchone()
    shown = tabsync(directory, "restore", "rows", "--table", "audit_logs", "--where", "true", "--dry-run")
    line = next(one for one in shown.out.splitlines() if one.startswith("public.audit_logs: "))
    missing = int(line.split()[1].replace(",", ""))
    assert missing > 5
    assert f"and {missing - 5:,} more" in shown.out
    assert left == (3,)
