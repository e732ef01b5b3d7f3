"""Container apps are restarted, read and switched through Azure's documented API."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tabsync.kernel.errors import BadUsage, CannotConnect, Exit, FailedPartway, NotAllowed, Refused, TabsyncError
from tests.postgres.app.acting import acted, looked, planned, text_of
from tests.postgres.app.cloud import APP, LOG_TOKEN, SECRET, SUBSCRIPTION, TOKEN, Cloud
from tests.postgres.app.conftest import Configured, at


def restarts(cloud: Cloud) -> list[str]:
    return [path.split("/")[-2] for method, path in cloud.changes() if path.endswith("/restart")]


def test_each_active_revision_is_restarted(cloud: Cloud, configured: Configured) -> None:
    workspace = configured(at(cloud))
    made = planned(workspace, "app restart", name="backend")
    assert restarts(cloud) == []
    preview = made.plan.steps[0].preview
    assert (
        "az containerapp revision restart --revision r--1 --name tabsync-backend --resource-group tabsync-rg" in preview
    )
    assert "r--0" not in preview, "it is not active"
    page = acted(workspace, "app restart", made, name="backend")
    assert restarts(cloud) == ["r--1", "r--2"]
    assert "r--1: 2 replicas new and ready; r--2: 1 replica new and ready" in page.headline
    assert TOKEN not in json.dumps(made.plan.to_json()) + text_of(page)


@pytest.mark.parametrize("in_place", [True, False])
def test_replicas_of_before_do_not_count(cloud: Cloud, configured: Configured, in_place: bool) -> None:
    """They are as ready as ever, until they are replaced or started again."""
    cloud.in_place = in_place
    workspace = configured(at(cloud, "timeout = 1\n"))
    acted(workspace, "app restart", name="backend")
    cloud.refused["POST", "/r--1/restart"] = 200, ""  # it says yes and does nothing
    with pytest.raises(
        FailedPartway, match=r"revision r--1 is not ready after 1 s: replica \w+ has not been restarted"
    ):
        acted(workspace, "app restart", name="backend")


def test_a_revision_that_never_gets_ready_is_named(cloud: Cloud, configured: Configured) -> None:
    cloud.never.add("r--2")
    with pytest.raises(FailedPartway) as caught:
        acted(configured(at(cloud, "timeout = 1\n")), "app restart", name="backend")
    assert "revision r--2 is not ready after 1 s: container web of replica c2: ImagePullBackOff" in caught.value.fact


def test_one_without_replicas_is_scaled_to_zero(cloud: Cloud, configured: Configured) -> None:
    cloud.replicas["r--2"] = {}
    page = acted(configured(at(cloud)), "app restart", name="backend")
    assert "r--2: no replica: it is scaled to zero" in page.headline


def test_what_changed_since_the_plan_is_told(cloud: Cloud, configured: Configured) -> None:
    workspace = configured(at(cloud))
    made = planned(workspace, "app restart", name="backend")
    cloud.revisions |= {"r--1": False, "r--0": True}
    page = acted(workspace, "app restart", made, name="backend")
    assert restarts(cloud) == ["r--2"], "exactly what was shown"
    assert "r--1: not active any more" in page.headline
    assert "r--0: active only since the plan was made" in page.headline


def test_403_names_the_permission_and_what_was_done(cloud: Cloud, configured: Configured) -> None:
    said = f"The client does not have authorization to perform action; {TOKEN}"
    cloud.refused["POST", "/r--2/restart"] = 403, {"error": {"code": "AuthorizationFailed", "message": said}}
    with pytest.raises(FailedPartway) as caught:
        acted(configured(at(cloud)), "app restart", name="backend")
    assert "restarted: r--1; not r--2" in caught.value.fact
    assert "lacks Microsoft.App/containerApps/revisions/restart/action" in caught.value.fact
    assert TOKEN not in caught.value.fact


@pytest.mark.parametrize("path", ["/revisions", "/r--1/restart"])
def test_a_redirect_is_not_followed(cloud: Cloud, configured: Configured, path: str) -> None:
    for method in ("GET", "POST"):
        cloud.refused[method, path] = 302, f"{cloud.url}/steal"
    with pytest.raises(CannotConnect, match="redirect"):
        acted(configured(at(cloud)), "app restart", name="backend")
    assert not [one for one in cloud.asked if one.path == "/steal"]


def test_the_log_of_each_replica(cloud: Cloud, configured: Configured) -> None:
    cloud.log += f"token={LOG_TOKEN} postgres://u:url-canary@h/d\n"
    page = looked(configured(at(cloud)), "app logs", name="backend", grep="gateway")
    assert [one["replica"] for one in page.data["lines"]] == ["a", "b", "c"]
    whole = looked(configured(at(cloud)), "app logs", name="backend")
    assert "canary" not in text_of(whole) + json.dumps(whole.data)
    assert "300 lines" in text_of(page), "fewer lines were searched than asked for"


def test_another_database_is_another_secret(cloud: Cloud, configured: Configured) -> None:
    workspace = configured(at(cloud))
    with pytest.raises(Refused, match="has no secret other; it has: db, db-new"):
        planned(workspace, "app switch-database", name="backend", to="other")
    made = planned(workspace, "app switch-database", name="backend", to="db-new")
    assert "(before: secret db)" in made.plan.steps[0].preview
    assert "--to db" in made.plan.steps[0].undo
    page = acted(workspace, "app switch-database", made, name="backend", to="db-new")
    (container,) = cloud.app["template"]["containers"]
    assert container["env"] == [
        {"name": "LEVEL", "value": "info"},
        {"name": "DATABASE_URL", "secretRef": "db-new"},
    ]
    assert (container["image"], container["resources"]) == ("shop:1", {"cpu": 1})
    assert cloud.app["template"]["scale"] == {"minReplicas": 1}
    assert "revision r--3 is ready" in page.headline


def test_what_may_not_be_done_is_said_beforehand(cloud: Cloud, configured: Configured) -> None:
    assert looked(configured(at(cloud)), "integration check").exit_code is Exit.DONE
    cloud.granted = [
        {"actions": ["*/read"], "notActions": []},
        {"actions": ["Microsoft.App/*"], "notActions": ["microsoft.app/containerapps/*/action", "*/write"]},
    ]
    page = looked(configured(at(cloud)), "integration check")
    missing = [
        one["permission"].removeprefix("Microsoft.App/containerApps/")
        for one in page.data["permissions"]
        if not one["allowed"]
    ]
    assert missing == ["revisions/restart/action", "getAuthToken/action", "logstream/action", "write"]
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert APP in text_of(page)
    cloud.refused["GET", "/permissions"] = 403, {"error": {"message": "no"}}
    assert looked(configured(at(cloud)), "integration check").exit_code is Exit.UNKNOWN


def test_a_login_that_fails_repeats_no_secret(
    cloud: Cloud, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-canary")
    with pytest.raises(NotAllowed, match=r"no token: 401 \(invalid_client\)") as caught:
        planned(configured(at(cloud)), "app restart", name="backend")
    assert "canary" not in f"{caught.value.fact}{caught.value.hint}"


def test_whoever_is_logged_in_with_az(
    cloud: Cloud, configured: Configured, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's contract only: a program of its name that is first in PATH."""
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    said = {"accessToken": TOKEN, "expires_on": 4_000_000_000, "subscription": SUBSCRIPTION}
    program = directory / "az"
    program.write_text(f"#!/bin/sh\necho \"$@\" > {directory}/argv\necho '{json.dumps(said)}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    table = at(cloud).replace(f'subscription = "{SUBSCRIPTION}"\n', "")
    assert planned(configured(table), "app restart", name="backend").plan.target["id"] == APP
    argv = (directory / "argv").read_text().split()
    assert argv == ["account", "get-access-token", "--resource", cloud.url, "--output", "json"]
    program.write_text("#!/bin/sh\necho 'token-canary' >&2\nexit 1\n")
    with pytest.raises(NotAllowed, match="az login") as caught:
        raise_hint(lambda: planned(configured(table), "app restart", name="backend"))
    assert "canary" not in str(caught.value)


def raise_hint(what: object) -> None:
    """Raise what stops it, with its hint in its words."""
    assert callable(what)
    try:
        what()
    except TabsyncError as error:
        raise type(error)(f"{error.fact}; {error.hint}") from None


@pytest.mark.parametrize("url", ["http://management.azure.com", "ftp://127.0.0.1", "https://user@evil.example"])
def test_a_token_goes_nowhere_unencrypted(configured: Configured, cloud: Cloud, url: str) -> None:
    table = at(cloud).replace(f'url = "{cloud.url}"\nlogin', f'url = "{url}"\nlogin', 1)
    with pytest.raises(BadUsage, match="neither https nor loopback"):
        planned(configured(table), "app restart", name="backend")
    assert not [one for one in cloud.asked if SECRET.encode() in one.body]
