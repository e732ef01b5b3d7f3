"""payments gateways, against a status page on the loopback, well and badly: what can't be trusted is unknown."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.profiles.tabsync.payments import status_page
from tabsync.profiles.tabsync.payments.gateways import look_gateways
from tabsync.workspace import Workspace
from tests.postgres.payments.status_page import StatusPage, ago, serving, summary
from tests.postgres.payments.till import text

Break = Callable[[StatusPage], Any]


@pytest.fixture
def page() -> Iterator[StatusPage]:
    with serving() as found:
        yield found


@pytest.fixture
def shown(page: StatusPage, directory: Path) -> Callable[[], Page]:
    """What the command shows; no database is asked."""
    workspace = Workspace(directory, "postgresql://127.0.0.1:1/none", directory, directory / "manual.md", "sqlite://")

    def show() -> Page:
        return look_gateways(replace(workspace, profile_settings={"stripe_status": page.url}), None)

    return show


def stripe(shown: Page) -> Any:
    return shown.data["gateways"][0]


def test_nothing_is_reported(shown: Callable[[], Page]) -> None:
    found = shown()
    assert found.exit_code is Exit.DONE
    assert (stripe(found)["state"], stripe(found)["indicator"]) == ("nothing reported", "none")
    assert "stripe: no trouble is reported; its page changed 5 min ago" in text(found)
    assert "mercadopago: a person looks: https://status.mercadopago.com" in text(found)
    assert "15 to 30 minutes late" in text(found)


def test_trouble(page: StatusPage, shown: Callable[[], Page]) -> None:
    page.says("major", component="partial_outage", incident="investigating")
    found = shown()
    assert found.exit_code is Exit.PROBLEM_FOUND
    assert stripe(found)["components"] == [{"name": "API", "state": "partial outage"}]
    assert "stripe: major trouble is reported" in text(found)
    assert "Elevated API error rates: investigating, since 20 min ago" in text(found)


@pytest.mark.parametrize("told", [{"incident": "identified"}, {"component": "degraded_performance"}])
def test_trouble_that_the_indicator_does_not_have_yet(
    page: StatusPage, shown: Callable[[], Page], told: dict[str, str]
) -> None:
    page.says("none", **told)
    found = shown()
    assert found.exit_code is Exit.PROBLEM_FOUND
    assert "stripe: trouble is reported" in text(found)


def test_trouble_of_a_group_only(page: StatusPage, shown: Callable[[], Page]) -> None:
    told = [
        {"id": "g1", "name": "Payments", "status": "major_outage", "group": True, "group_id": None},
        {"id": "c1", "name": "API", "status": "operational", "group": False, "group_id": "g1"},
    ]
    page.says("none", components=told)
    found = shown()
    assert found.exit_code is Exit.PROBLEM_FOUND
    assert stripe(found)["components"] == [{"name": "Payments", "state": "major outage"}]
    told[1]["status"] = "partial_outage"
    page.says("none", components=told)
    assert stripe(shown())["components"] == [{"name": "API", "state": "partial outage"}], "the part says more"


def test_an_incident_that_is_over(page: StatusPage, shown: Callable[[], Page]) -> None:
    page.says("none", incident="resolved")
    assert shown().exit_code is Exit.DONE


def test_texts_of_somebody_else_are_no_commands_to_a_terminal(page: StatusPage, shown: Callable[[], Page]) -> None:
    told = summary("minor", incident="investigating")
    told["incidents"][0]["name"] = "\x1b[2Jdown\r\nstripe: no trouble is reported" + "x" * 500
    page.body = json.dumps(told).encode()
    found = text(shown())
    assert "\x1b" not in found
    assert "\nstripe: no trouble" not in found
    assert "x" * 200 not in found


def answers(body: Any, **headers: str) -> Break:
    def change(page: StatusPage) -> None:
        page.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        page.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    return change


def status(code: int, **headers: str) -> Break:
    def change(page: StatusPage) -> None:
        page.status = code
        page.headers |= headers

    return change


def does(name: str) -> Break:
    return lambda page: setattr(page, "answering", getattr(page, name))


BAD: dict[str, tuple[Break, str]] = {
    "500": (status(500), "answered 500"),
    "404": (status(404), "answered 404"),
    "redirect": (status(302, location="http://127.0.0.1:1/elsewhere"), "redirects elsewhere"),
    "hangs": (does("hangs"), "no answer from"),
    "drips": (does("drips"), "no "),
    "floods": (does("floods"), "longer than 1000000 bytes"),
    "gzip bomb": (answers(gzip.compress(b" " * (1 << 26)), content_encoding="gzip"), "answers compressed"),
    "too long": (answers(b" " * 1_000_001), "longer than 1000000 bytes"),
    "html": (answers(b"<html>", content_type="text/html"), "answered text/html, not JSON"),
    "garbage": (answers(b"\xff\x00{"), "not as documented"),
    "deep": (answers(b"[" * 100_000), "not as documented"),
    "null": (answers(None), "not as documented"),
    "list": (answers([]), "not as documented"),
    "another indicator": (answers(summary("fine")), "not as documented"),
    "no incidents": (answers(summary(incidents=None)), "not as documented"),
    "odd incidents": (answers(summary(incidents=[{"status": 7, "name": {}}])), "not as documented"),
    "odd time": (answers(summary(page={"updated_at": "yesterday"})), "not as documented"),
    "time before the calendar": (
        answers(summary(page={"updated_at": "0001-01-01T00:00:00+23:59"})),
        "not as documented",
    ),
    "time after the calendar": (
        answers(summary(page={"updated_at": "9999-12-31T23:59:59-23:59"})),
        "not as documented",
    ),
    "incident before the calendar": (
        answers(summary(incidents=[{"name": "x", "status": "y", "started_at": "0001-01-01T00:00:00+14:00"}])),
        "not as documented",
    ),
    "another state": (answers(summary(component="total_meltdown")), "not as documented"),
    "another state of a group": (
        answers(summary(components=[{"name": "API", "status": "total_meltdown", "group": True}])),
        "not as documented",
    ),
    "no date": (answers(summary(), date=""), "does not say of when it is"),
    "odd date": (answers(summary(), date="today"), "does not say of when it is"),
    "date of a large year": (
        answers(summary(), date="Mon, 01 Jan 99999999999999999999 00:00:00 GMT"),
        "does not say of when it is",
    ),
    "date before the calendar": (
        answers(summary(), date="Mon, 01 Jan 0001 00:00:00 +2359"),
        "is from another time",
    ),
    "very old": (answers(summary(), age="9" * 400), "is 24855 d 3 h old: a copy"),
    "stale": (answers(summary(), age="3600"), "is 1 h old: a copy"),
    "of yesterday": (answers(summary(), date="Sun, 29 Nov 2026 01:00:00 GMT"), "is from another time"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_can_not_be_trusted_is_unknown(
    case: str, page: StatusPage, shown: Callable[[], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_page, "_SECONDS", 0.5 if case in ("hangs", "drips") else 20.0)
    change, why = BAD[case]
    change(page)
    found = shown()
    assert found.exit_code is Exit.UNKNOWN
    assert stripe(found)["state"] == "unknown"
    assert why in stripe(found)["why"]
    assert "stripe: unknown" in text(found)
    assert "no trouble" not in text(found)


def test_nobody_listens(page: StatusPage, shown: Callable[[], Page]) -> None:
    page.url = "http://127.0.0.1:1/"
    assert shown().exit_code is Exit.UNKNOWN


@pytest.mark.parametrize("url", ["http://example.com/summary.json", "file:///etc/passwd", "", "https://"])
def test_an_address_where_anybody_could_answer(page: StatusPage, shown: Callable[[], Page], url: str) -> None:
    page.url = url
    assert "neither https nor loopback" in stripe(shown())["why"]


def test_a_page_that_has_not_changed_for_long_is_told_with_its_age(page: StatusPage, shown: Callable[[], Page]) -> None:
    page.body = json.dumps(summary(page={"updated_at": ago(3 * 24 * 60)})).encode()
    assert "its page changed 3 d ago" in text(shown())


@pytest.mark.parametrize("url", ["https://user:geheim@127.0.0.1:1/", "http://geheim@127.0.0.1:1/", "http://[::1", "\0"])
def test_an_address_that_is_not_repeated(page: StatusPage, shown: Callable[[], Page], url: str) -> None:
    page.url = url
    found = shown()
    assert found.exit_code is Exit.UNKNOWN
    assert "the address of the status page" in stripe(found)["why"]
    assert "geheim" not in text(found) + str(found.data)
