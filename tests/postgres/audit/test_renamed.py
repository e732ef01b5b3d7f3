"""Columns and tables that are renamed under the triggers: no secret gets into the log, and no write fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tabsync.kernel.page import Page
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace
from tests.postgres.audit.steps import repairs, status

Session = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(audited_database())


@pytest.fixture
def session(workspace: Workspace) -> Iterator[Session]:
    with psycopg.connect(workspace.conninfo, autocommit=True, row_factory=dict_row) as opened:
        yield opened


def entries(session: Session) -> list[dict[str, Any]]:
    return session.execute("select * from audit_logs where xid is not null order by id").fetchall()


def edited(workspace: Workspace, directory: Path, *changes: tuple[str, str]) -> Workspace:
    text = PROFILE_MANUAL.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    manual = directory / "manual.md"
    manual.write_text(text)
    return replace(workspace, manual_path=manual)


def told(page: Page) -> str:
    return "\n".join(one["told"] for one in page.data["drift"])


def writes(session: Session, secret: str) -> str:
    row = session.execute(
        f"insert into users (email, full_name, role, {secret}) values ('new@example.com', 'Ana', 'CUSTOMER', 's3cret')"
        " returning users.*"
    ).fetchone()
    assert row
    session.execute(f"update users set {secret} = 'an0ther', full_name = 'Bea' where email = 'new@example.com'")
    session.execute("delete from users where email = 'new@example.com'")
    return str(row["id"])


@pytest.mark.parametrize("change", ["rename column password_hash to pw_hash", "drop column password_hash"])
def test_a_secret_under_another_name_shows_nothing_but_the_key(
    workspace: Workspace, session: Session, change: str
) -> None:
    session.execute(f"alter table users {change}")
    secret = "pw_hash"
    session.execute("alter table users add column if not exists pw_hash text")
    key = writes(session, secret)
    inserted, updated, deleted = entries(session)
    assert inserted["entity_id"] == updated["entity_id"] == deleted["entity_id"] == key
    assert inserted["new_value"].pop("id") == deleted["old_value"].pop("id") == key
    assert {*inserted["new_value"].values(), *deleted["old_value"].values()} == {"(secret)"}
    assert inserted["new_value"].keys() >= {"email", "pw_hash"}
    assert "password_hash" not in inserted["new_value"]
    assert updated["old_value"].keys() >= {"full_name", "pw_hash"}
    assert {*updated["old_value"].values(), *updated["new_value"].values()} == {"(secret)"}
    page = status(workspace)
    assert page.exit_code == 1
    assert "users has no column password_hash, which the manual calls secret: no values of it are recorded" in told(
        page
    )


def test_truncate_shows_no_secret_either(session: Session) -> None:
    session.execute("alter table users rename column password_hash to pw_hash")
    session.execute("truncate users cascade")
    found = [one for one in entries(session) if one["table_name"] == "public.users"]
    assert len(found) > 1
    assert all(one["old_value"].pop("id") == one["entity_id"] for one in found)
    assert {value for one in found for value in one["old_value"].values()} == {"(secret)"}


def test_a_repair_with_the_new_name_records_again(workspace: Workspace, session: Session, directory: Path) -> None:
    session.execute("alter table users rename column password_hash to pw_hash")
    repairs(workspace)  # the manual names the old one: nothing is loosened
    assert status(workspace).exit_code == 1
    other = edited(workspace, directory, ("password_hash", "pw_hash"))
    assert "public.users have no values but its key, since it has no column password_hash" in told(status(other))
    repairs(other)
    assert status(other).data["drift"] == []
    writes(session, "pw_hash")
    inserted, updated, _ = entries(session)
    assert (inserted["new_value"]["email"], inserted["new_value"]["pw_hash"]) == ("new@example.com", "(secret)")
    assert (updated["new_value"]["full_name"], updated["new_value"]["pw_hash"]) == ("Bea", "(secret)")


@pytest.mark.parametrize("table", ["users", "restaurants"])  # must, when possible
def test_a_key_that_is_renamed_stops_no_write(workspace: Workspace, session: Session, table: str) -> None:
    session.execute(f"alter table {table} rename column id to its_id")
    name = "full_name" if table == "users" else "name"
    session.execute(f"update {table} set {name} = 'Bea' where its_id = (select its_id from {table} limit 1)")
    one, other = entries(session)
    assert {one["action"], other["action"]} == {"DELETE", "INSERT"}
    assert one["entity_id"] == other["entity_id"] == ""
    assert session.execute("select last_value from tabsync_audit.gaps").fetchone() == {"last_value": 0}
    page = status(workspace)
    assert page.exit_code == 1
    assert f"entries of public.{table} name no row since its key was changed: it has no column id" in told(page)
    repairs(workspace)
    session.execute(f"update {table} set {name} = 'Cleo' where its_id = (select its_id from {table} limit 1)")
    last = entries(session)[-1]
    assert (last["action"], last["entity_id"] != "") == ("UPDATE", True)
    assert status(workspace).exit_code == (1 if table == "users" else 0)  # the manual has its users by that key


def test_of_a_key_of_several_columns_no_rows_are_mistaken(workspace: Workspace, session: Session) -> None:
    session.execute("alter table table_session_guests rename column table_session_id to its_session")
    session.execute(
        "insert into table_session_guests (its_session, guest_number, display_name)"
        " select id, 19, 'Ana' from table_sessions order by id limit 2"
    )
    session.execute("update table_session_guests set display_name = 'Bea' where guest_number = 19")
    found = entries(session)
    assert sorted(one["action"] for one in found) == ["DELETE", "DELETE", "INSERT", "INSERT", "INSERT", "INSERT"]
    assert {one["entity_id"] for one in found} == {""}
    session.execute("delete from table_session_guests where guest_number = 19")
    repairs(workspace)
    assert status(workspace).exit_code == 0


def test_a_table_in_the_place_of_a_renamed_one_is_told_apart(workspace: Workspace, session: Session) -> None:
    session.execute("alter table staff rename to staff_old")
    session.execute("create table staff (like staff_old including all)")
    session.execute("update staff_old set left_at = now() where id = (select min(id) from staff_old)")
    assert entries(session)[-1]["table_name"] == "public.staff_old"
    page = status(workspace)
    assert page.exit_code == 1
    assert "public.staff_old was public.staff when its triggers were created" in told(page)
    repairs(workspace)
    session.execute("insert into staff overriding system value select * from staff_old limit 1")
    session.execute("delete from staff_old where id = (select min(id) from staff_old)")
    assert [one["table_name"] for one in entries(session)[1:]] == ["public.staff"]


def test_a_table_that_is_renamed_is_recorded_until_the_manual_says(
    workspace: Workspace, session: Session, directory: Path
) -> None:
    session.execute("alter table staff rename to workers")
    page = status(workspace)
    assert page.exit_code == 1
    assert "there is no table public.staff, which the manual audits" in told(page)
    assert "public.workers was public.staff" in told(page)
    session.execute("drop table audit_logs_2027_02")
    session.execute("alter table restaurants rename column id to its_id")
    repairs(workspace)  # the rest of it
    assert not [one for one in ("months ahead", "name no row") if one in told(status(workspace))]
    session.execute("update workers set left_at = now() where id = (select min(id) from workers)")
    assert entries(session)[-1]["table_name"] == "public.workers"
    other = edited(workspace, directory, ("| staff | must |", "| workers | must |"))
    repairs(other)
    assert status(other).data["drift"] == []
    session.execute("update workers set left_at = null where id = (select min(id) from workers)")
    assert entries(session)[-1]["table_name"] == "public.workers"


def test_partitions_have_the_name_of_their_table(workspace: Workspace, session: Session, directory: Path) -> None:
    session.execute("create table tips (id int primary key) partition by range (id)")
    session.execute("create table tips_1 partition of tips for values from (0) to (10)")
    other = edited(workspace, directory, ("| staff | must |", "| tips | must | — | 1 year | — |\n| staff | must |"))
    repairs(other)
    session.execute("insert into tips values (1)")
    session.execute("insert into tips_1 values (2)")
    assert [one["table_name"] for one in entries(session)] == ["public.tips", "public.tips"]
