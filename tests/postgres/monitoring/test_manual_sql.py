"""Every statement of the profile's manual runs on every PostgreSQL that is installed here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.manual.load import load
from tabsync.manual.model import Manual, Runbook, Step, StepKind
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import measure
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.postgres.readonly import run_readonly
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.system.claims import claim
from tests.audited import install_profile

BY_MAJOR = {one.version[0]: one for one in installations() if one.has_server}
MANUAL: Manual = load(Path(PROFILE_MANUAL))


def steps_of(kind: StepKind) -> list[Any]:
    found: list[tuple[Runbook, Step]] = [
        (runbook, step) for runbook in MANUAL.runbooks for step in runbook.steps if step.kind is kind
    ]
    return [pytest.param(step.block, id=f"line {step.block_line}: {runbook.title}") for runbook, step in found]


@pytest.fixture(scope="module", params=sorted(BY_MAJOR), ids=lambda major: f"PostgreSQL {major}")
def database(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session on a database with TabSync's schema, on a server of each major version."""
    with tempfile.TemporaryDirectory(prefix="tabsync-manual-") as temporary:
        Path(temporary).chmod(0o711)
        held = claim(Path(temporary) / "server")
        assert held is not None
        settings = {**embedded.SCRATCH_SETTINGS, "shared_buffers": "16MB"}
        server = embedded.create(held.directory, settings=settings, installation=BY_MAJOR[request.param])
        try:
            embedded.start(server)
            with psycopg.connect(server.conninfo(), autocommit=True) as conn:
                apply_schema(conn)
                install_profile(server.conninfo())
                yield conn
        finally:
            embedded.destroy(server)
            held.release()


def test_the_versions_that_come_with_the_tests_are_there() -> None:
    assert BY_MAJOR.keys() >= {17, 18}


def test_every_metric_can_be_measured(database: psycopg.Connection[tuple[Any, ...]]) -> None:
    readings = measure(database, MANUAL)
    assert {reading.metric: reading.error for reading in readings if reading.error} == {}
    assert [reading.metric for reading in readings if reading.level is Level.UNKNOWN] == ["Database size"]


@pytest.mark.parametrize("sql", steps_of(StepKind.SQL))
def test_every_reading_step_runs(database: psycopg.Connection[tuple[Any, ...]], sql: str) -> None:
    assert run_readonly(database, sql).columns


@pytest.mark.parametrize("sql", steps_of(StepKind.SQL_WRITE))
def test_every_writing_step_runs(database: psycopg.Connection[tuple[Any, ...]], sql: str) -> None:
    """Each can be run on the schema as it is; the enum that is recreated comes back for the steps after it."""
    database.execute(sql.encode())
    recreated = database.execute("select 1 from pg_enum where enumlabel = 'ADMIN'").rowcount == 0
    assert recreated == ("UserRole_new" in sql)
    if recreated:
        database.execute("alter type \"UserRole\" add value 'ADMIN' after 'SUPER_ADMIN'")
