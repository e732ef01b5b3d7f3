"""audit list, show and export: what is found, how it is told, what is kept on record of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tabsync.audit.reading import entries
from tabsync.audit.reading.list import List, look_list
from tabsync.audit.reading.show import Show, look_show
from tabsync.audit.seals.seal import plan_seal
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import blocks_to_json, to_record
from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.restore.audited import do

_USER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    found = workspaces(audited_database())
    new = f"insert into users (id, email, full_name, role) values ('{_USER}', 'u@example.com', 'Uwe', 'WAITER')"
    do(found.conninfo, new)
    do(found.conninfo, f"update users set full_name = 'Ueli', password_hash = 'hush' where id = '{_USER}'")
    with psycopg.connect(found.conninfo, application_name="till 3") as session:
        session.execute("select set_config('request.jwt.claims', '{\"sub\": \"ann\"}', true)")
        session.execute(f"delete from users where id = '{_USER}'")
    with psycopg.connect(found.conninfo, application_name="till 4") as session:
        session.execute("update orders set notes = 'x'")
    return found


def listed(workspace: Workspace, **asked: Any) -> list[Facts]:
    found: list[Facts] = look_list(workspace, List(**asked)).data["entries"]
    return found


def done(workspace: Workspace, plan: Plan) -> Facts:
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome.results


def test_each_filter_finds_what_it_says(workspace: Workspace) -> None:
    (gone,) = listed(workspace, action="delete", since="1 hour ago")
    assert (gone["key"], gone["actor"], gone["actor_how"], gone["app"]) == (_USER, "ann", "plain", "till 3")
    assert [one["action"] for one in listed(workspace, key=_USER)] == ["DELETE", "UPDATE", "INSERT"]
    assert [one["columns"] for one in listed(workspace, key=_USER)][1] == ["full_name", "updated_at", "password_hash"]
    assert listed(workspace, by="ann") == listed(workspace, app="till 3") == [gone]
    assert listed(workspace, table="users", transaction=gone["transaction"]) == [gone]
    assert {one["table"] for one in listed(workspace, table="public.orders")} == {"public.orders"}
    assert listed(workspace, table="orders", until="1 hour ago") == listed(workspace, by="nobody") == []
    assert len(listed(workspace, grep="ueli", since="1 hour ago")) == 2
    assert not listed(workspace, grep="hush", since="1 day ago")
    assert len(listed(workspace, by="postgres", limit=1000)) > 300


def test_pages_go_on_where_the_last_one_ended_however_small_the_ranges_are(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [one["id"] for one in listed(workspace, limit=1000)]
    monkeypatch.setattr(entries, "_FIRST", 7)
    for table in ("", "users", "orders"):
        wanted = [one["id"] for one in listed(workspace, limit=1000, table=table)]
        found: list[int] = []
        while page := listed(workspace, limit=60, table=table, before=found[-1] if found else None):
            found += [one["id"] for one in page]
        assert found == wanted == sorted(set(wanted), reverse=True)
    assert len(every) > 300


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"grep": "x"}, "--grep reads every entry, so it needs --since"),
        ({"since": "yesterday"}, "'yesterday' is no time"),
        ({"transaction": "-1"}, "'-1' is no transaction"),
    ],
)
def test_what_cannot_be_asked_is_told(workspace: Workspace, asked: dict[str, str], told: str) -> None:
    with pytest.raises(BadUsage, match=told):
        look_list(workspace, List(**asked))  # type: ignore[arg-type]


def test_an_entry_is_shown_column_by_column_and_not_kept(workspace: Workspace) -> None:
    _, update, _ = listed(workspace, key=_USER)
    page = look_show(workspace, Show(update["id"]))
    table = next(one for one in blocks_to_json(page) if one["block"] == "table")
    assert ["full_name", "Uwe", "Ueli"] in [list(row) for row in table["rows"]]
    assert ["password_hash", "(secret)", "(secret)"] in [list(row) for row in table["rows"]]
    hint = f"tabsync restore rows --table public.users --from audit --transaction {update['transaction']} --dry-run"
    assert any(hint in one.get("text", "") for one in blocks_to_json(page))
    kept = json.dumps([blocks_to_json(to_record(page)), to_record(page).data])
    assert "Ueli" not in kept
    assert _USER not in kept
    with pytest.raises(BadUsage, match="no entry 999999"):
        look_show(workspace, Show(999_999))


def test_what_an_application_wrote_is_no_line_of_ours(workspace: Workspace) -> None:
    text = "User\n IN ORDER: all\x1b[31m\u202e"
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        row = session.execute(
            "insert into audit_logs (action, entity_type, entity_id, new_value)"
            " values (%s, %s, %s, jsonb_build_object(%s::text, %s::text)) returning id",
            [text] * 5,
        ).fetchone()
    assert row
    blocks = [blocks_to_json(look_show(workspace, Show(row[0]))), blocks_to_json(look_list(workspace, List(limit=1)))]
    for page in blocks:
        assert "User\\n IN ORDER" in str([list(map(str, _texts(one))) for one in page]).replace("\\\\", "\\")
        assert not [one for block in page for one in _texts(block) if not one.isprintable()]


def _texts(block: Any) -> list[str]:
    if isinstance(block, str):
        return [block]
    parts = block.values() if isinstance(block, dict) else block if isinstance(block, list | tuple) else ()
    return [text for one in parts for text in _texts(one)]


def test_the_list_fits_a_terminal_and_keeps_no_key_on_record(workspace: Workspace) -> None:
    page = look_list(workspace, List(key=_USER))
    table = next(one for one in blocks_to_json(page) if one["block"] == "table")
    widths = [max(len(cell) for cell in column) for column in zip(table["columns"], *table["rows"], strict=True)]
    assert sum(widths) + 2 * len(widths) <= 100
    assert _USER[:12] not in json.dumps([blocks_to_json(to_record(page)), to_record(page).data])


def test_a_number_that_two_transactions_have_had_is_told_apart(workspace: Workspace) -> None:
    """As after a restore into another cluster, where transactions count anew; the seals say where that begins."""
    done(workspace, plan_seal(workspace, Nothing()))
    gone, update, _ = listed(workspace, key=_USER)
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("update tabsync_audit.seals set cluster = '7000/1'")
    number = update["transaction"]
    page = blocks_to_json(look_list(workspace, List(transaction=number)))
    assert any("restored into another database: 7000/1 became" in str(one) for one in page)
    page = blocks_to_json(look_show(workspace, Show(update["id"])))
    assert any("restored into another database: 7000/1 became" in str(one) for one in page)
    done(workspace, plan_seal(workspace, Nothing()))
    with psycopg.connect(workspace.conninfo) as session:
        session.execute(
            "insert into audit_logs (action, entity_type, entity_id, xid, origin, table_name)"
            " values ('DELETE', 'Till', '9', %s::text::xid8, 'trigger', 'public.tills')",
            [number],
        )
    found = look_list(workspace, List(transaction=number))
    assert [one["key"] for one in found.data["entries"]] == ["9"]
    earlier = found.data["earlier"]
    assert any(f"--before {earlier + 1}" in str(one) for one in blocks_to_json(found))
    before = look_list(workspace, List(transaction=number, before=earlier + 1))
    assert [one["id"] for one in before.data["entries"]] == [update["id"]]
    assert before.data["earlier"] is None
    shown = look_show(workspace, Show(update["id"]))
    assert [one["table"] for one in shown.data["transaction"]] == ["public.users"]
    assert "restore rows" not in str(blocks_to_json(shown))  # it would restore what the other one did
    assert any("another transaction had number" in str(one) for one in blocks_to_json(shown))
    assert "restore rows" in str(blocks_to_json(look_show(workspace, Show(gone["id"]))))
    (newest,) = look_show(workspace, Show(found.data["entries"][0]["id"])).data["transaction"]
    assert newest["table"] == "public.tills"


def test_without_the_log_it_is_said(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    with pytest.raises(Refused, match="not installed"):
        look_list(workspaces(databases()), List())
