"""Whom to escalate to is known when the database is gone, and nobody else's command shows their addresses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.profiles.tabsync import PROFILE_MANUAL
from tests.conftest import run_sql
from tests.postgres.cli.program import tabsync
from tests.sessions import connect


def gone(conninfo: str) -> None:
    """Drop the database."""
    name = str(conninfo_to_dict(conninfo)["dbname"])
    run_sql(make_conninfo(conninfo, dbname="postgres"), "drop database {} with (force)", name)


def test_they_are_known_when_the_database_is_gone(tabsync_database: Callable[[], str], directory: Path) -> None:
    conninfo = tabsync_database()
    (directory / "tabsync.toml").write_text(
        f'database = "{conninfo}"\nname = "shop"\nhome = "home"\nmanual = "{PROFILE_MANUAL}"\n'
    )
    with connect(conninfo, "tests") as session:
        (first,) = session.execute("select email from users where role = 'SUPER_ADMIN' limit 1").fetchone() or ("",)
        version = session.info.parameter_status("server_version")
        assert tabsync(directory, "health").code == 0
        session.execute("update users set disabled_at = now() where email = %s", (first,))
        session.execute(
            "update users set email = 'new@example.org', full_name = E'Eva\\x1b[31m', role = 'SUPER_ADMIN'"
            " where id = (select id from users where role = 'CONSULTANT' limit 1)"
        )
    assert tabsync(directory, "health", "--json").code == 0
    gone(conninfo)
    assert tabsync(directory, "health").code == 3
    tabsync(directory, "incident", "open", "Everything is gone")
    shown = tabsync(directory, "incident", "show", "--people")
    people = tabsync(directory, "incident", "show", "--people", "--json").json["people"]
    addresses = [one["address"] for one in people["above_all_users"]]
    assert "new@example.org" in addresses
    assert first not in addresses, "the account is disabled, and only the newest are kept"
    assert people["next"]["role"] == "Database Admin"
    assert [one["role"] for one in people["staff"]] == ["Database Admin", "DevOps Lead", "CTO"]
    assert [one["role"] for one in people["suppliers"]] == ["Supabase Support"]
    for text in (f"PostgreSQL {version}", "since: 20", "Everything is gone (critical)", "no alert"):
        assert text in people["ticket"]
    assert "new@example.org" in shown.out
    assert "\x1b" not in shown.out
    assert "new@example.org" not in people["ticket"]
    for words in (
        ("incident", "show", "--json"),
        ("incident", "report"),
        ("incident", "list", "--json"),
        ("status", "--json"),
    ):
        assert "new@example.org" not in tabsync(directory, *words).out, words
    assert "call next: Database Admin, dba@tabsync.com (24/7)" in tabsync(directory, "incident", "show").out
