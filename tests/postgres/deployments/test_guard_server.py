"""A pipeline runs the command, and a running service sees to backup, proof, watching and evidence."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tabsync.console.serve import Running, start
from tabsync.deployments import pipeline
from tabsync.ledger.operators import add_operator
from tabsync.ledger.tokens import add_token
from tabsync.workspace import Workspace
from tests.postgres.deployments.site import Site, evidence


@pytest.fixture
def served(shop: Site, ledger: Workspace) -> Iterator[tuple[Running, str]]:
    """A console on the shop's workspace, and the token of an admin."""
    add_operator(ledger.ledger(), "ci", "correct horse battery", "admin", by="tests")
    running = start(ledger)
    try:
        yield running, add_token(ledger.ledger(), "ci", by="tests")
    finally:
        running.stop()


def guard(shop: Site, served: tuple[Running, str], *options: str) -> tuple[int, str, str]:
    """As a pipeline does: without a tabsync.toml."""
    elsewhere = shop.directory / "pipeline"
    elsewhere.mkdir(exist_ok=True)
    running, token = served
    words = ["migration", "guard", "--server", running.url, *options, "--", *shop.command()]
    there = Site(elsewhere, shop.conninfo, shop.url, shop.manual)
    return there.tabsync(*words, TABSYNC_TOKEN=token)


def test_a_pipeline(shop: Site, served: tuple[Running, str], ledger: Workspace) -> None:
    shop.migration("1_plates", "create table plates (id int primary key); select pg_sleep(1)")
    code, out, err = guard(shop, served)
    assert code == 0, out + err
    assert "lock_timeout is 5s" in out
    assert "DEPLOYED AND VERIFIED: run " in out
    (kept,) = evidence(ledger)
    assert kept["ok"]
    assert kept["facts"]["run"]["sessions"] == 1  # known by its application's name
    assert kept["facts"]["applied"] == ["1"]
    shop.migration("2_more", "alter table plates add size int; select 1 / 0")
    code, out, err = guard(shop, served)
    assert code == 1, out + err
    assert "THE COMMAND FAILED with exit code 1" in out
    assert "2 has failed" in err
    code, out, err = guard(shop, served)
    assert code == 4, out + err
    assert "applied" not in out
    assert "2 has failed, by public.schema_migrations: resolve it first" in err


def test_who_may_not_and_what_is_no_option(shop: Site, served: tuple[Running, str], ledger: Workspace) -> None:
    running, token = served
    code, _, err = guard(shop, (running, "wrong"))
    assert code == 3, err
    with httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {token}"}) as client:
        answer = client.post("/api/v1/deployments", json={"command": "x", "options": {"folder": "/etc"}})
        assert (answer.status_code, "folder" in answer.text) == (400, True)
        assert client.post("/api/v1/deployments", json={"command": " "}).status_code == 400
        assert client.post("/api/v1/deployments/none", json={"exit": 0, "seconds": 1}).status_code == 404
        assert client.get("/api/v1/deployments/none").status_code == 404
        odd = '{"exit": 0, "seconds": Infinity}'
        assert client.post("/api/v1/deployments/none", content=odd).status_code in (400, 404, 422)
    add_operator(ledger.ledger(), "vic", "correct horse battery", "viewer", by="tests")
    assert guard(shop, (running, add_token(ledger.ledger(), "vic", by="tests")))[0] == 3


def test_a_pipeline_that_dies(shop: Site, served: tuple[Running, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "SILENT", 1.0)
    running, token = served
    with httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {token}"}) as client:
        run = client.post("/api/v1/deployments", json={"command": "deploy"}).json()["run"]
        while client.get(f"/api/v1/deployments/{run}").json()["state"] == "preparing":
            time.sleep(0.05)
        with psycopg.connect(shop.conninfo, autocommit=True) as session:
            held = (
                "select count(*) from pg_locks where locktype = 'advisory'"
                " and database = (select oid from pg_database where datname = current_database())"
            )
            while session.execute(held).fetchone() != (0,):
                time.sleep(0.05)
        ended = client.get(f"/api/v1/deployments/{run}").json()
        while ended["state"] != "ended":
            time.sleep(0.05)
            ended = client.get(f"/api/v1/runs/{run}").json()
            ended["state"] = "ended" if ended["run"]["state"] != "running" else ""
        told = client.get(f"/api/v1/deployments/{run}").json()
        assert (told["ok"], "was not heard of" in told["error"]["fact"]) == (False, True)
