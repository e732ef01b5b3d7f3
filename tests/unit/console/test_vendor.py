"""The console's front-end files: those that pages ask for are fetched, and what is not as listed is fetched again."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from scripts import vendor

from tabsync.console.base import complete

VENDOR = "src/tabsync/console/static/vendor"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What of a checkout says which files are served."""
    shutil.copytree(vendor.ROOT / VENDOR, tmp_path / VENDOR)
    shutil.copy(vendor.ROOT / vendor.LOCK, tmp_path)
    return tmp_path


def test_pages_ask_for_what_is_fetched() -> None:
    templates = (complete.STATIC.parent / "templates").rglob("*.html")
    asked = {name for one in templates for name in re.findall(r"asset\('vendor/([^']+)'\)", one.read_text())}
    assert asked == set(complete.FETCHED)
    assert asked == {name for name in vendor.SERVED.values() if "LICENSE" not in name}


def test_what_is_as_listed_is_not_fetched(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(vendor, "_npm_ci")
    assert vendor.is_fresh(source)
    assert vendor.main(source) == 0


@pytest.mark.parametrize("name", [vendor.LOCK, f"{VENDOR}/pico.min.css", f"{VENDOR}/.ready"])
@pytest.mark.parametrize("content", ["", "other"])
def test_what_changed_or_went_is_fetched_again(source: Path, name: str, content: str) -> None:
    (source / name).write_text(content)
    assert not vendor.is_fresh(source)


@pytest.mark.parametrize("name", [*vendor.SERVED.values(), ".ready"])
def test_what_is_missing_is_fetched(source: Path, name: str) -> None:
    (source / VENDOR / name).unlink()
    assert not vendor.is_fresh(source)


def test_what_npm_refuses_leaves_what_is_there(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / vendor.LOCK).write_text("{}")
    (source / "package.json").write_text("{}")
    before = sorted((source / VENDOR).iterdir())
    monkeypatch.setattr(vendor, "_npm_ci", lambda directory: 3)
    assert vendor.main(source) == 3
    assert sorted((source / VENDOR).iterdir()) == before
    assert not vendor.is_fresh(source)
