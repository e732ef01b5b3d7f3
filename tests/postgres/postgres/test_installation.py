"""Which programs fit which server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tabsync.kernel.errors import Exit, Refused
from tabsync.postgres import installation as module
from tabsync.postgres.installation import clients_for, embedded, installations, server_for
from tests.conftest import missing


@pytest.mark.parametrize("major", [15, 17, 18])
def test_the_own_version_is_used_where_it_is_there(major: int) -> None:
    if major not in {one.major for one in installations()}:
        missing(f"PostgreSQL {major}")
    assert clients_for(major).major == major
    assert server_for(major).major == major


def test_else_the_nearest_newer_one() -> None:
    newer = min(one.major for one in installations() if one.major >= 16)
    assert clients_for(16).major == newer
    assert server_for(16).major == newer
    assert clients_for(9).major == min(one.major for one in installations())


def test_a_server_newer_than_every_pg_dump_is_refused_with_what_to_install() -> None:
    with pytest.raises(Refused, match="PostgreSQL 99, newer than every pg_dump") as refused:
        clients_for(99)
    assert "postgresql-client-99" in refused.value.hint
    assert refused.value.exit_code is Exit.REFUSED
    with pytest.raises(Refused, match="no PostgreSQL 99 server") as refused:
        server_for(99)
    assert "postgresql-99" in refused.value.hint


def test_without_any_installation_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installations", lambda: ())
    with pytest.raises(Refused, match="newest: none"):
        clients_for(17)
    with pytest.raises(Refused, match="not installed"):
        embedded()


def test_clients_without_a_server_dump_but_hold_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    lone = replace(embedded(), has_server=False)
    monkeypatch.setattr(module, "installations", lambda: (lone,))
    assert clients_for(17) == lone
    with pytest.raises(Refused, match="no PostgreSQL 17 server"):
        server_for(17)


def test_the_embedded_one_has_everything() -> None:
    one = embedded()
    assert (one.major, one.has_server, one.has_zstd()) == (17, True, True)
    for name in ("pg_dump", "pg_restore", "initdb", "pg_ctl", "postgres"):
        assert one.program(name).exists()


def test_a_program_that_is_none_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "pg_dump").write_text("#!/bin/sh\necho 'no cluster here' >&2; exit 1\n")
    (fake / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake))
    try:
        installations.cache_clear()
        assert fake not in {one.bindir for one in installations()}
        (fake / "pg_dump").write_text("not a program at all")
        installations.cache_clear()
        assert fake not in {one.bindir for one in installations()}
    finally:
        monkeypatch.undo()
        installations.cache_clear()
