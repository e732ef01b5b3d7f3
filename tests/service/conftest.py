"""Homes on a small database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Databases, run_sql
from tests.service.place import Home
from tests.service.told import mailbox, webhook


@pytest.fixture
def home(databases: Databases, directory: Path) -> Callable[..., Home]:
    """Makes a home on a database with one small table."""

    def make(schedule: str = "", name: str = "own", conninfo: str = "", ledger: str = "", more: str = "") -> Home:
        conninfo = conninfo or databases()
        run_sql(conninfo, "create table if not exists t as select 1 as a")
        place = directory / name
        place.mkdir()
        made = Home(place, conninfo)
        made.write(schedule, ledger, more)
        return made

    return make


__all__ = ["mailbox", "webhook"]
