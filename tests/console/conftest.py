"""One console on a real server with a restaurant's data, and a real browser to look at it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tabsync.console.serve import Running, start
from tabsync.ledger.operators import add_operator, one_operator, start_session
from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace
from tests.conftest import missing, run_sql

PASSWORD = "correct horse battery"

ARGUMENTS = (
    "--no-sandbox",  # tests may run as root, whom chromium's sandbox refuses
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Workspaces = Callable[[str, str], Workspace]


@dataclass(frozen=True, slots=True)
class Site:
    """A running console and what it looks after."""

    running: Running
    workspace: Workspace

    def url(self, path: str) -> str:
        """The address of one of its pages."""
        return self.running.url.rstrip("/") + path


@pytest.fixture(scope="session")
def console_workspaces(place: Path) -> Iterator[Workspaces]:
    """Workspaces by name, each with three operators: ana (admin), rob (responder) and vic (viewer)."""
    made: list[Workspace] = []

    def make(name: str, conninfo: str) -> Workspace:
        home = place / f"console-{name}"
        home.mkdir(mode=0o755)
        workspace = Workspace(home, conninfo, home / "store", PROFILE_MANUAL, f"sqlite:///{home / 'ledger.sqlite'}")
        for operator, role in (("ana", "admin"), ("rob", "responder"), ("vic", "viewer")):
            add_operator(workspace.ledger(), operator, PASSWORD, role, by="tests")
        made.append(workspace)
        return workspace

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def console_database(server: embedded.Server, restaurant: Callable[[int], str]) -> str:
    """A database with a restaurant's data that only the console's tests use."""
    run_sql(server.conninfo(), "create database {} template {}", "console", restaurant(17))
    return server.conninfo("console")


@pytest.fixture(scope="session")
def site(console_workspaces: Workspaces, console_database: str) -> Iterator[Site]:
    """The console that most tests look at."""
    workspace = console_workspaces("site", console_database)
    running = start(workspace)
    running.console.status.fresh = running.console.health.fresh = 0.2  # so that no test waits to see what it did
    yield Site(running, workspace)
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: Debian's, or what TABSYNC_CHROMIUM names.

    Its headless shell draws and runs the same, without the windows, tabs and start pages that nobody sees: a context
    of the whole browser takes 1.5 s of processor time, one of the shell 0.4 s.
    """
    path = os.environ.get("TABSYNC_CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        missing("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()


@dataclass(slots=True)
class Watched:
    """A page, and everything that its browser complained about: scripts, styles, the content security policy."""

    page: Page
    complaints: list[str]


Pages = Callable[..., Watched]


@pytest.fixture
def pages(browser: Browser) -> Iterator[Pages]:
    """Opens pages in contexts of their own: no cookie is shared between tests."""
    contexts: list[BrowserContext] = []

    def new(width: int = 1280, scheme: str = "light", javascript: bool = True) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=javascript,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        watched = Watched(context.new_page(), [])
        watched.page.on("console", lambda told: watched.complaints.append(f"{told.type}: {told.text}"))
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        return watched

    yield new
    for context in contexts:
        context.close()


def log_in(site: Site, page: Page, name: str = "ana", password: str = PASSWORD) -> None:
    """Log in through the form and wait for the status page."""
    page.goto(site.url("/login"))
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def enter(site: Site, page: Page, name: str = "ana") -> str:
    """Give the page a session without going through the form, which takes its time; returns the token."""
    ledger = site.workspace.ledger()
    token, _ = start_session(ledger, one_operator(ledger, name))
    port = urlsplit(site.running.url).port
    page.context.add_cookies(
        [{"name": f"tabsync-{port}", "value": token, "url": site.running.url, "httpOnly": True, "sameSite": "Strict"}]
    )
    return token
