"""payments changes: each kind of change, on a real server; what nobody can know is said to be unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tabsync.kernel.errors import Exit
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.profiles.tabsync.payments.changed_database import in_database
from tabsync.profiles.tabsync.payments.changes import Changes, look_changes
from tabsync.profiles.tabsync.payments.failures import Failures, look_failures
from tabsync.workspace import Workspace
from tests.conftest import missing
from tests.postgres.payments.status_page import StatusPage, serving
from tests.postgres.payments.till import Till, text
from tests.postgres.runbooks.place import Place
from tests.servers import running_server
from tests.sessions import connect
from tests.set_clock import faketime, server_with_clock
from tests.whole import whole

EXPIRED = {"error": {"code": "api_key_expired"}}


@pytest.fixture
def page() -> Iterator[StatusPage]:
    with serving() as found:
        yield found


@pytest.fixture
def at_stripe(shop: Workspace, page: StatusPage) -> Workspace:
    return replace(shop, profile_settings={"stripe_status": page.url})


def found(workspace: Workspace, since: str = "2h") -> dict[str, Any]:
    page = look_changes(workspace, Changes(since))
    each = {one["what"]: one for one in page.data["changes"]}
    assert len(each) == len(page.data["changes"])
    states = {one["state"] for one in each.values()}
    assert page.exit_code is (Exit.PROBLEM_FOUND if "changed" in states else Exit.UNKNOWN)
    return each


def test_each_kind_says_what_it_knows(till: Till, at_stripe: Workspace) -> None:
    till.pay(20)
    each = found(at_stripe)
    states = {what: one["state"] for what, one in each.items()}
    assert states == {
        "deployments": "nothing",
        "application": "nothing",
        "other runs": "nothing",
        "migrations": "unknown",  # what the profile's own migrations note has no times
        "server": "changed",  # it was started for the tests
        "settings": states["settings"],  # another test may have had them read
        "roles": "unknown",
        "users": "unknown",
        "keys": "nothing",
        "requests": "nothing",
        "clock": "nothing",
        "clock of the gateway": "nothing",
    }
    assert "track_commit_timestamp is off" in each["roles"]["text"]
    assert "not installed" in each["users"]["text"]
    assert each["server"]["at"] < datetime.now(UTC).isoformat()


def test_with_the_database_down_the_rest_is_looked_at(at_stripe: Workspace) -> None:
    each = found(replace(at_stripe, conninfo="postgresql://127.0.0.1:1/none"))
    down = {what for what, one in each.items() if one["state"] == "unknown"}
    assert down == {"migrations", "server", "settings", "roles", "users", "clock", "keys", "requests"}
    assert all("Connection refused" in each[what]["text"] for what in down)


def test_a_key_that_the_gateway_refuses(till: Till, at_stripe: Workspace) -> None:
    till.pay(20, ago=30, span=10)
    till.pay(4, "stripe", "FAILED", metadata=EXPIRED, span=20)
    till.pay(1, "mercadopago", "FAILED", metadata={"type": "idempotency_error"})
    each = found(at_stripe)
    assert each["keys"]["state"] == "changed"
    assert each["keys"]["text"] == "4 payments failed since then: stripe api_key_expired"
    first = till.one("select min(created_at) from payments where status = 'FAILED' and gateway = 'stripe'")
    assert each["keys"]["at"] == first.astimezone(UTC).isoformat()
    assert each["requests"]["text"] == "1 payments failed since then: mercadopago idempotency_error"


def test_without_a_payment_nothing_is_known_of_the_key(at_stripe: Workspace) -> None:
    each = found(at_stripe)
    assert (each["keys"]["state"], each["keys"]["text"]) == ("unknown", "no payment was tried through a gateway")


def test_a_migration(till: Till, at_stripe: Workspace) -> None:
    till.run(
        "create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at"
        " timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, started_at"
        " timestamptz not null default now(), applied_steps_count integer not null default 0)"
    )
    add = (
        "insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at)"
        " values (%(name)s, 'x', %(name)s, now() - %(ago)s::interval, now() - %(ago)s::interval)"
    )
    till.run(add, values={"name": "20261101_old", "ago": "20 days"})
    till.run("drop table schema_migrations")
    assert found(at_stripe)["migrations"]["state"] == "nothing"
    till.run(add, values={"name": "20261130_new", "ago": "30 minutes"})
    each = found(at_stripe)["migrations"]
    assert (each["state"], each["text"]) == ("changed", "20261130_new: applied")


def test_files_of_settings_that_were_read_again(till: Till, at_stripe: Workspace) -> None:
    with connect(till.conninfo, "tests") as connection:
        connection.execute("select pg_sleep(greatest(0, 6 - extract(epoch from now() - pg_postmaster_start_time())))")
        connection.execute("select pg_reload_conf()")
        connection.execute("select pg_sleep(0.5)")
    assert found(at_stripe)["settings"]["state"] == "changed"


def test_what_the_audit_log_has_of_users(
    audited_database: Callable[..., str], workspaces: Callable[..., Workspace], page: StatusPage
) -> None:
    workspace = replace(workspaces(audited_database()), profile_settings={"stripe_status": page.url})
    assert found(workspace)["users"]["state"] == "nothing"
    with connect(workspace.conninfo, "tests") as connection:
        connection.execute("update users set full_name = 'Ana Nova' where id = (select min(id::text)::uuid from users)")
    assert found(workspace)["users"]["state"] == "nothing"
    with connect(workspace.conninfo, "tests") as connection:
        connection.execute(
            "update users set role = 'WAITER' where id = (select id from users where role = 'CUSTOMER' limit 1)"
        )
    each = found(workspace)["users"]
    assert (each["state"], each["text"]) == ("changed", "a role was changed by UPDATE: tabsync audit list")


def test_a_server_that_keeps_the_times_of_commits(directory: Path) -> None:
    with running_server("commits", track_commit_timestamp="on") as server:
        workspace = Workspace(directory, server.conninfo(), directory, directory / "manual.md", "sqlite://")

        def roles() -> Any:
            since = datetime.now(UTC) - timedelta(hours=2)
            return next(one for one in in_database(workspace, since) if one.what == "roles")

        before = roles()
        with connect(server.conninfo(), "tests") as connection:
            connection.execute("create role app login")
            connection.execute("alter role app set statement_timeout = '1s'")
        after = roles()
    assert (before.state.value, after.state.value) == ("nothing", "changed")
    assert after.text == "a setting of a role or a database was changed"


def test_clocks_that_do_not_agree(till: Till, at_stripe: Workspace, page: StatusPage) -> None:
    page.clock = -300
    each = found(at_stripe)["clock of the gateway"]
    assert each["state"] == "changed"
    assert each["text"].startswith("stripe's clock is 5 min")
    assert each["text"].endswith("behind this machine's")
    page.clock = 7200
    each = found(at_stripe)["clock of the gateway"]
    assert each["state"] == "unknown"
    assert "this machine's clock is wrong" in each["text"]


def test_a_database_whose_clock_is_ahead(directory: Path, workspaces: Callable[..., Workspace]) -> None:
    library = faketime()
    if library is None:
        missing("libfaketime")
        return
    with server_with_clock(library, datetime.now(UTC) + timedelta(minutes=10)) as (server, _):
        with connect(server.conninfo(), "tests") as connection:
            apply_schema(connection)
            generate(connection, orders=60)
        Till(server.conninfo()).pay(5)
        shop = workspaces(server.conninfo())
        each = found(replace(shop, profile_settings={"stripe_status": "http://127.0.0.1:1/"}))
        told = text(look_failures(shop, Failures()))
    assert each["clock"]["state"] == "changed"
    assert each["clock"]["text"].endswith("ahead of this machine's")
    assert "the database's clock is 9 min" in told or "the database's clock is 10 min" in told


def states(place: Place) -> dict[str, str]:
    each = found(place.workspace())
    return {one: each[one]["state"] for one in ("deployments", "application", "other runs")}


@pytest.fixture
def ground(till: Till, directory: Path) -> Place:
    made = Place(directory, till.conninfo)
    made.manual("1. Look.\n")
    config = directory / "tabsync.toml"
    config.write_text(
        f'profile = "tabsync"\n{config.read_text()}'
        '[app.backend]\nkind = "command"\nrestart = ["true"]\n[tabsync]\nstripe_status = "http://127.0.0.1:1/"\n'
    )
    return made


def test_what_tabsync_did(ground: Place) -> None:
    assert ground.run("backup", "take", "tables", "payments").code == 0
    assert ground.run("schedule", "done", "how-to-undo-the-migration-is-written", "--note", "so").code == 0
    assert set(states(ground).values()) == {"nothing"}, "neither changes what the application sees"
    restarted = ground.run("app", "restart", "backend")
    assert restarted.code == 0, restarted.err
    assert states(ground) == {"deployments": "nothing", "application": "changed", "other runs": "nothing"}
    shown = ground.run("payments", "changes")
    assert shown.code == 1
    assert shown.out.startswith("CHANGED in the last 2 h: application, ")


@whole  # a backup and its proof come before it
def test_a_deployment(ground: Place) -> None:
    refused = ground.run("migration", "guard", "--", "true")
    assert refused.code == 4, "the manual asks for something before it"
    assert states(ground)["deployments"] == "nothing"
    assert ground.run("schedule", "done", "how-to-undo-the-migration-is-written", "--note", "so").code == 0
    deployed = ground.run("migration", "guard", "--", "true")
    assert deployed.code == 0, deployed.err
    assert states(ground) == {"deployments": "changed", "application": "nothing", "other runs": "nothing"}
