"""Migrations: once, in order, whole or not at all, and never silently different."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.profiles.tabsync import migrate
from tabsync.profiles.tabsync.migrate import Migration, apply_schema, migrations

from .conftest import NewDatabase


def migration(version: str, text: str) -> Migration:
    """A migration of the test's own."""
    return Migration(version, text.encode(), hashlib.sha256(text.encode()).hexdigest())


FIRST = migration("0001_first", "CREATE TABLE first (id int)")
SECOND = migration("0002_second", "CREATE TABLE second (id int)")


@pytest.fixture
def blank(new_database: NewDatabase) -> str:
    """A database without anything."""
    return new_database("template0")


def test_applied_once(blank: str) -> None:
    with psycopg.connect(blank, autocommit=True) as conn:
        assert apply_schema(conn) == [known.version for known in migrations()]
        assert apply_schema(conn) == []
        recorded = conn.execute("SELECT version, checksum FROM schema_migrations ORDER BY version").fetchall()
    assert recorded == [(known.version, known.checksum) for known in migrations()]


def test_only_what_is_missing(blank: str) -> None:
    with psycopg.connect(blank, autocommit=True) as conn:
        assert apply_schema(conn, (FIRST,)) == ["0001_first"]
        assert apply_schema(conn, (FIRST, SECOND)) == ["0002_second"]


def test_works_on_a_connection_without_autocommit(blank: str) -> None:
    with psycopg.connect(blank) as conn:
        apply_schema(conn, (FIRST,))
        conn.rollback()
        assert apply_schema(conn, (FIRST,)) == []


def test_changed_migration_is_refused(blank: str) -> None:
    changed = migration("0001_first", "CREATE TABLE first (id bigint)")
    with psycopg.connect(blank, autocommit=True) as conn:
        apply_schema(conn, (FIRST,))
        with pytest.raises(Refused, match="0001_first was changed after it was applied") as refused:
            apply_schema(conn, (changed, SECOND))
        assert conn.execute("SELECT to_regclass('second')").fetchone() == (None,)
    assert "new migration" in refused.value.hint


def test_database_of_a_newer_version_is_refused(blank: str) -> None:
    with psycopg.connect(blank, autocommit=True) as conn:
        apply_schema(conn, (FIRST, SECOND))
        with pytest.raises(Refused, match="0002_second, which this version does not know"):
            apply_schema(conn, (FIRST,))


def test_migration_that_comes_too_late_is_refused(blank: str) -> None:
    with psycopg.connect(blank, autocommit=True) as conn:
        apply_schema(conn, (SECOND,))
        with pytest.raises(Refused, match="0001_first is missing"):
            apply_schema(conn, (FIRST, SECOND))


def test_failed_migration_leaves_nothing(blank: str) -> None:
    broken = migration("0002_broken", "CREATE TABLE half (id int); SELECT 1 / 0")
    with psycopg.connect(blank, autocommit=True) as conn:
        with pytest.raises(FailedPartway, match="0002_broken failed: division by zero"):
            apply_schema(conn, (FIRST, broken))
        assert conn.execute("SELECT to_regclass('first'), to_regclass('half')").fetchone() == ("first", None)
        assert conn.execute("SELECT version FROM schema_migrations").fetchall() == [("0001_first",)]


def test_wait_for_a_lock_is_bounded(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    alter = migration("0002_alter", "ALTER TABLE first ADD COLUMN name text")
    with psycopg.connect(blank, autocommit=True) as conn, psycopg.connect(blank) as reader:
        apply_schema(conn, (FIRST,))
        reader.execute("SELECT FROM first")
        with pytest.raises(FailedPartway, match="no lock within 50ms"):
            apply_schema(conn, (FIRST, alter))
        reader.rollback()
        assert apply_schema(conn, (FIRST, alter)) == ["0002_alter"]


def test_two_at_once_take_turns(blank: str) -> None:
    def bring_up(_: int) -> list[str]:
        with psycopg.connect(blank, autocommit=True) as conn:
            return apply_schema(conn)

    with ThreadPoolExecutor(3) as pool:
        applied = [version for versions in pool.map(bring_up, range(3)) for version in versions]
    assert sorted(applied) == [known.version for known in migrations()]
