"""Rows from the audit log as a person restores them, and what is left of it on record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.postgres.cli.program import tabsync
from tests.postgres.restore.audited import do

_ANN = "33333333-3333-4333-8333-333333333333"
_MAKE = (
    "insert into users (id, email, full_name, role, password_hash)"
    f" values ('{_ANN}', 'ann@example.com', 'Annemarie', 'WAITER', 'hush')"
)


def test_a_deleted_user_comes_back_and_no_value_is_on_record(
    audited_database: Callable[[], str], directory: Path
) -> None:
    conninfo = audited_database()
    (directory / "tabsync.toml").write_text(f'database = "{conninfo}"\n')
    do(conninfo, _MAKE)
    xid = do(conninfo, f"delete from users where id = '{_ANN}'")
    listed = tabsync(directory, "audit", "list", "--action", "delete", "--since", "1 hour ago", "--table", "users")
    assert (listed.code, "users" in listed.out, "33333333-3333-4333-83" in listed.out) == (0, True, True)
    number = tabsync(directory, "audit", "list", "--transaction", xid, "--json").json["entries"][0]["id"]
    shown = tabsync(directory, "audit", "show", str(number))
    assert "Annemarie" in shown.out
    assert max(map(len, (listed.out + shown.out).splitlines())) <= 100
    rows = ("restore", "rows", "--table", "users", "--where", "email = 'ann@example.com'")
    told = tabsync(directory, *rows, "--dry-run")
    assert (told.code, "there is no backup" in told.err) == (2, True)
    assert "the audit log has these rows without password_hash, which are secret" in told.err
    refused = tabsync(directory, *rows, "--from", "audit")
    assert (refused.code, "--secrets-from latest" in refused.err, "Annemarie" in refused.out) == (4, True, True)
    assert "column password_hash is secret" in refused.out
    done = tabsync(directory, *rows, "--from", "audit", "--without-secrets", "--json").json
    assert (done["tables"][0]["inserted"], done["log"]["state"]) == (1, "as they were just before their last DELETE")
    with psycopg.connect(conninfo) as session:
        found = session.execute("select full_name, password_hash from users where id = %s", [_ANN]).fetchone()
    assert found == ("Annemarie", None)
    undone = tabsync(directory, "restore", "rows", "--undo", done["run"])
    assert (undone.code, "1 rows deleted" in undone.out) == (0, True)
    wrong = tabsync(directory, *rows, "--from", "latest", "--transaction", xid)
    assert (wrong.code, "asks the audit log" in wrong.err) == (2, True)
    with sqlite3.connect(directory / ".tabsync" / "ledger.sqlite") as ledger:
        text = "\n".join(ledger.iterdump())
    ledger.close()
    assert "restore rows" in text
    assert "Annemarie" not in text
