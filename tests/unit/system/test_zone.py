"""The time zone of a machine, however it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tabsync.system import zone

_BERLIN = "/usr/share/zoneinfo/Europe/Berlin"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":America/Sao_Paulo", "America/Sao_Paulo"),
        ("", "UTC"),  # as the C library reads it
        ("CET-1CEST", ""),  # a rule, and no name: /etc/localtime says nothing about it
        ("posix/Europe/Berlin", ""),
        ("America", ""),
        ("../../etc/passwd", ""),
        ("/etc/localtime", ""),
    ],
)
def test_the_variable_goes_first(given: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", given)
    monkeypatch.setattr(zone, "_LOCALTIME", Path("/nowhere"))
    assert zone.zone_name() == name


@pytest.mark.parametrize(
    ("target", "name"), [(_BERLIN, "Europe/Berlin"), ("/usr/share/zoneinfo/posix/Europe/Berlin", "Europe/Berlin")]
)
def test_else_the_link(target: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(zone, "_LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr("os.path.realpath", lambda _path: target)
    (tmp_path / "localtime").touch()
    assert zone.zone_name() == name


@pytest.mark.parametrize(("clock", "found"), [("Europe/Berlin", "Europe/Berlin"), ("Africa/Lagos", ""), ("UTC", "")])
def test_where_it_is_a_copy_a_written_name_counts_only_if_the_clock_goes_by_it(
    clock: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lagos has Berlin's time in winter only: whoever moved and left the file would run an hour off all summer.
    monkeypatch.setenv("TZ", clock)
    time.tzset()
    monkeypatch.delenv("TZ")
    monkeypatch.setattr(zone, "_LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr(zone, "_NAME", tmp_path / "timezone")
    (tmp_path / "localtime").touch()
    (tmp_path / "timezone").write_text("Europe/Berlin\n")
    assert zone.zone_name() == found


def test_without_any_it_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(zone, "_LOCALTIME", Path("/nowhere"))
    assert zone.zone_name() == "UTC"


def test_a_rule_without_a_name_is_an_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-5:30")
    time.tzset()
    offset = datetime(2026, 1, 1, tzinfo=zone.machine_zone()).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == 5.5 * 3600
