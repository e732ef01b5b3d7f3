"""The client of Supabase's management API, against a server that speaks it on the loopback."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta

import pytest

from tabsync.kernel.errors import BadUsage, CannotConnect, FailedPartway, NotAllowed, Refused, TabsyncError
from tabsync.providers.http import pause
from tabsync.providers.supabase import open_project, parse_protection, project_of
from tests.postgres.providers.supabase import EARLIEST, LATEST, REF, TOKEN, Api, listed


def test_what_supabase_keeps(api: Api) -> None:
    found = open_project(REF).protection()
    assert (found.region, found.pitr) == ("sa-east-1", True)
    assert [(one.id, one.physical, one.status) for one in found.snapshots] == [
        ("75", True, "FAILED"),
        ("76", True, "COMPLETED"),
        ("77", True, "COMPLETED"),
    ]
    assert found.snapshots[-1].at == datetime(2026, 11, 22, 3, 10, 11, 123000, UTC)
    assert (found.earliest, found.latest) == tuple(datetime.fromtimestamp(one, UTC) for one in (EARLIEST, LATEST))
    assert api.asked == [("GET", f"/v1/projects/{REF}/database/backups", None)]


@pytest.mark.parametrize(
    "window",
    [
        {},
        None,
        {"earliest_physical_backup_date_unix": 0, "latest_physical_backup_date_unix": 0},
        {"earliest_physical_backup_date_unix": EARLIEST},
    ],
)
def test_a_project_without_a_window_has_none(window: object) -> None:
    found = parse_protection(listed() | {"physical_backup_data": window, "backups": []})
    assert (found.earliest, found.latest, found.snapshots) == (None, None, ())


@pytest.mark.parametrize(
    "wrong",
    [
        b"<html>",
        b"[]",
        b'"x"',
        b"{}",
        json.dumps(listed() | {"backups": None}).encode(),
        json.dumps(listed() | {"backups": [{"id": 1}]}).encode(),
        json.dumps(listed() | {"pitr_enabled": "yes"}).encode(),
        json.dumps(listed() | {"physical_backup_data": [1]}).encode(),
        json.dumps(
            listed()
            | {"backups": [{"id": 1, "is_physical_backup": True, "status": "COMPLETED", "inserted_at": "yesterday"}]}
        ).encode(),
    ],
)
def test_what_is_not_as_documented_is_never_taken_for_none(api: Api, wrong: bytes) -> None:
    api.backups = wrong
    with pytest.raises(CannotConnect, match="has an unknown format"):
        open_project(REF).protection()


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (401, NotAllowed, "does not accept the token"),
        (403, NotAllowed, "lacks the permission for this"),
        (404, BadUsage, f"has no project {REF}"),
        (302, Refused, "rejected the request: 302"),
        (400, Refused, "rejected the request: 400"),
    ],
)
def test_a_refusal_is_told_once(api: Api, status: int, kind: type[TabsyncError], told: str) -> None:
    api.answers = [(status, {"location": "https://example.org/"}, b'{"message":"because"}')]
    with pytest.raises(kind, match=told) as raised:
        open_project(REF).protection()
    assert raised.value.fact.endswith("(because)")
    assert len(api.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 0])
def test_what_passes_is_asked_again(api: Api, status: int) -> None:
    api.answers = [(status, {"retry-after": "0"}, b""), (status, {}, b"")]
    assert open_project(REF).protection().pitr is True
    assert len(api.asked) == 3


def test_what_does_not_pass_is_given_up(api: Api) -> None:
    api.answers = [(503, {}, b"")] * 9
    with pytest.raises(CannotConnect, match="answered 503, 4 times"):
        open_project(REF).protection()
    assert len(api.asked) == 4


def test_the_body_of_an_error_is_not_believed(api: Api) -> None:
    bodies = [b"\x1b[2Jx", b"<script>", b'{"message":7}', b"[]", b'{"message":"a\\u001b[31m\\n' + b"b" * 999 + b'"}']
    for body in bodies:
        api.answers = [(400, {}, body)]
        with pytest.raises(Refused) as raised:
            open_project(REF).protection()
        assert raised.value.fact.isprintable() and len(raised.value.fact) < 260


def test_the_token_is_in_no_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOKEN not in repr(open_project(REF))
    for status in (400, 401, 403, 404, 429, 500):
        api.answers = [(status, {"retry-after": "0"}, f'{{"message":"bad token {TOKEN}"}}'.encode())] * 4
        with pytest.raises(TabsyncError) as raised:
            open_project(REF).protection()
        assert TOKEN not in raised.value.fact + raised.value.hint + repr(raised.value.__context__)


def test_a_restore_is_asked_for_once(api: Api) -> None:
    moment = datetime.fromtimestamp(EARLIEST + 5, UTC)
    open_project(REF).restore(moment)
    assert api.restores == [EARLIEST + 5]
    for status in (500, 503, 0):
        api.answers, api.asked = [(status, {}, b"")] * 9, []
        with pytest.raises(FailedPartway, match="it is unknown whether"):
            open_project(REF).restore(moment)
        assert len(api.asked) == 1, status
    api.answers = [(429, {"retry-after": "0"}, b"")]  # it was not looked at
    open_project(REF).restore(moment)
    assert api.restores == [EARLIEST + 5] * 2
    with pytest.raises(Refused, match="out of range"):
        open_project(REF).restore(datetime.fromtimestamp(LATEST + 5, UTC))


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("TABSYNC_SUPABASE_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(CannotConnect, match="can't reach"):
        open_project(REF).protection()


def test_where_the_token_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_ACCESS_TOKEN", TOKEN)
    for url in ("http://api.example.org", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "127.0.0.1"):
        monkeypatch.setenv("TABSYNC_SUPABASE_URL", url)
        with pytest.raises(BadUsage, match="neither https nor loopback"):
            open_project(REF)
    monkeypatch.delenv("SUPABASE_ACCESS_TOKEN")
    with pytest.raises(NotAllowed, match="SUPABASE_ACCESS_TOKEN is not set"):
        open_project(REF)
    for ref in ("../x", "a/b", "", "A" * 20):
        with pytest.raises(BadUsage, match="reference"):
            open_project(ref)


@pytest.mark.parametrize(
    ("conninfo", "ref"),
    [
        (f"postgresql://postgres@db.{REF}.supabase.co:5432/postgres", REF),
        (f"postgresql://postgres.{REF}@aws-1-sa-east-1.pooler.supabase.com:6543/postgres", REF),
        (f"host=aws-0-us-east-1.pooler.supabase.com user=ops.{REF} dbname=postgres", REF),
        (f"host=db.{REF}.supabase.co.example.org", None),
        (f"host=example.org user=postgres.{REF}", None),
        ("host=aws-1-sa-east-1.pooler.supabase.com user=postgres", None),
        ("host=/run/postgresql user=postgres", None),
    ],
)
def test_the_project_in_a_connection_string(conninfo: str, ref: str | None) -> None:
    assert project_of(conninfo) == ref


def test_how_long_to_wait() -> None:
    moment = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
    assert pause(1, "7", moment) == 7
    assert pause(1, "Sun, 22 Nov 2026 12:00:09 GMT", moment) == 9
    assert pause(1, "Sun, 22 Nov 2026 11:00:00 GMT", moment) == 0
    assert pause(1, "86400", moment) == 30  # no longer than anybody waits
    assert 0 < pause(1, "soon", moment) < pause(2, None, moment) < pause(9, None, moment + timedelta(1)) == 30
