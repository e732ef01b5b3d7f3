"""TabSync as people install it: its wheel in a virtual environment of its own, outside of the checkout."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response

import tabsync
from tests import wheel
from tests.console.conftest import Pages
from tests.postgres.cli.program import Done, environment
from tests.postgres.cli.program import tabsync as run_program

VENDORED = {"htmx.min.js", "pico.min.css", "uplot.min.css", "uplot.min.js"}
LICENCES = {"htmx.LICENSE", "pico.LICENSE.md", "uplot.LICENSE"}
_INKED = """
canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((one) => one > 0)
"""


@dataclass(frozen=True)
class Installed:
    """What was built, and where it is installed."""

    sdist: Path
    wheel: Path
    bin: Path

    def __call__(self, directory: Path, *words: str, timeout: float = 120) -> Done:
        return run_program(directory, *words, timeout=timeout, program=self.bin / "tabsync")

    @property
    def package(self) -> Path:
        """The package, in the virtual environment."""
        return next(self.bin.parent.glob("lib/python*/site-packages/tabsync"))


@pytest.fixture(scope="module")
def installed(place: Path) -> Installed:
    directory = place / "dist"
    directory.mkdir()
    sdist, built = wheel.build(directory)
    return Installed(sdist, built, wheel.install(built, place / "installed"))


@contextmanager
def served(installed: Installed, directory: Path) -> Iterator[str]:
    """A console of the installed program; gives its URL."""
    command = [str(installed.bin / "tabsync"), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=directory, env=environment(directory, PYTHONUNBUFFERED="1"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            found = re.search(r"http://\S+", said)
            assert found, said
            yield found[0].rstrip("/")
        finally:
            process.send_signal(signal.SIGTERM)


def inside(path: Path) -> set[str]:
    """The files of the package's folder."""
    files = (one for one in path.rglob("*") if one.is_file() and one.suffix != ".pyc" and one.name != ".ready")
    return {one.relative_to(path).as_posix() for one in files}


def test_the_wheel_has_the_package_and_its_front_end_files(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as packed:
        names = {name.removeprefix("tabsync/") for name in packed.namelist() if name.startswith("tabsync/")}
    assert names == inside(Path(tabsync.__file__).parent)
    assert {name for name in names if "/vendor/" in name} == {
        f"console/static/vendor/{name}" for name in VENDORED | LICENCES
    }


def test_a_checkout_and_an_sdist_give_the_same_wheel(installed: Installed) -> None:
    of_checkout = installed.wheel.parent / "checkout" / installed.wheel.name
    assert of_checkout.read_bytes() == installed.wheel.read_bytes()


def test_the_sdist_has_nothing_that_lies_about(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    source = {name.removeprefix("src/tabsync/") for name in names if name.startswith("src/tabsync/")}
    assert source - {"console/static/vendor/.ready"} == inside(Path(tabsync.__file__).parent)
    assert {name for name in names if not name.startswith("src/")} == {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "package-lock.json",
        "package.json",
        "pyproject.toml",
        "scripts/build_hook.py",
        "scripts/vendor.py",
    }


def test_nothing_comes_from_the_checkout(installed: Installed, directory: Path) -> None:
    told = "import sys, tabsync.cli.tree, tabsync.console.app; print(tabsync.__file__, *sys.path, sep='\\n')"
    file, *paths = wheel.run([str(installed.bin / "python"), "-I", "-c", told], directory).splitlines()
    assert Path(file).parent == installed.package
    assert not any(Path(one).is_relative_to(wheel.ROOT) for one in paths)
    assert installed(directory, "--version").out.split()[-1] == installed.wheel.name.split("-")[1]


def test_the_demo_proves_its_backup(installed: Installed, directory: Path) -> None:
    done = installed(directory, "demo", "--once", "--orders", "100", timeout=300)
    assert done.code == 0, done.err
    assert "PROVEN RESTORABLE" in done.out


def test_the_console_has_style_and_draws(
    installed: Installed, directory: Path, tabsync_database: Callable[[], str], pages: Pages
) -> None:
    for words in (("init", tabsync_database()), ("drill",)):
        done = installed(directory, *words, timeout=300)
        assert done.code == 0, done.out + done.err
    added = installed(directory, "operator", "add", "ana", "--role", "admin", "--generate")
    password = re.search(r"password: (\S+)", added.out)
    assert password, added.err
    watched = pages()
    answers: list[Response] = []
    watched.page.on("response", lambda answer: answers.append(answer))
    with served(installed, directory) as url:
        watched.page.goto(f"{url}/login")
        watched.page.get_by_label("Name").fill("ana")
        watched.page.get_by_label("Password").fill(password[1])
        watched.page.get_by_role("button", name="Log in").click()
        watched.page.wait_for_selector("nav")
        watched.page.goto(f"{url}/backups")
        watched.page.wait_for_selector("figure.chart canvas")
        check_style(watched.page)
        assert watched.page.locator("figure.chart canvas").evaluate_all(f"all => all.map({_INKED})") == [True, True]
    assert watched.complaints == []
    assert [one.url for one in answers if one.status >= 400] == []
    asked = {one.url.rpartition("/")[2] for one in answers}
    assert asked >= VENDORED


def check_style(page: Page) -> None:
    """What Pico says and what our own style sheet says are both in force, and every script ran."""
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--pico-font-size')")
    assert page.evaluate("Array.from(document.styleSheets, (one) => one.cssRules.length > 0)") == [True] * 3
    assert page.evaluate("[typeof htmx, typeof uPlot]") == ["object", "function"]
    legend = page.locator("figure.chart .u-legend").first
    assert legend.evaluate("one => getComputedStyle(one).textAlign") == "center"  # uPlot's own style


def test_what_is_missing_is_said_to_who_installed_a_wheel(installed: Installed, directory: Path) -> None:
    (directory / "tabsync.toml").write_text('database = "host=127.0.0.1 port=1 dbname=shop"\n')
    file = installed.package / "console/static/vendor/uplot.min.js"
    aside = file.rename(file.with_suffix(".aside"))
    try:
        done = installed(directory, "serve", "--port", "0")
    finally:
        aside.rename(file)
    assert (done.code, done.out) == (4, "")
    fact, hint = done.err.splitlines()
    assert fact == "error: the console's front-end files are missing: uplot.min.js"
    assert installed.wheel.name in hint
    assert "make" not in hint


def test_init_and_serve_and_nothing_else_give_a_proven_backup(
    installed: Installed, tabsync_database: Callable[..., str], directory: Path
) -> None:
    """What a person does first. The first night is at once; tomorrow's is known."""
    made = installed(directory, "init", tabsync_database())
    assert made.code == 0, made.err
    with served(installed, directory):
        ledger, until = directory / ".tabsync" / "ledger.sqlite", time.monotonic() + 120
        while ("drill --backup latest --keep-warm", "ended", 0) not in (runs := started(ledger)):
            assert time.monotonic() < until, runs
            time.sleep(0.2)
        listed = installed(directory, "schedule", "list")
        items = {one["item"]: one for one in installed(directory, "schedule", "list", "--json").json["items"]}
    proven, taken = items["drill-backup-latest-keep-warm"], items["backup-take-full"]
    assert (taken["last"]["state"], proven["last"]["state"]) == ("done", "done"), listed.out
    assert "PROVEN RESTORABLE" in proven["last"]["why"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for item, clock in ((taken, "02:00"), (proven, "02:30")):
        due = datetime.fromisoformat(item["next"]).astimezone()
        assert (f"{due:%H:%M}", timedelta() < tomorrow - due < timedelta(days=1)) == (clock, True), item
    assert "silent" not in listed.out and "●" in listed.out
    assert items["backup-prune-apply"]["last"]["state"] == "waits for approval"


def started(ledger: Path) -> list[tuple[object, ...]]:
    """What the service started, and how it ended."""
    with closing(sqlite3.connect(ledger, timeout=30)) as opened:
        return list(opened.execute("select item, state, exit from occurrence"))
