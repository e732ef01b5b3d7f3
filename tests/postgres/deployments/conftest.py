"""A project on a database of its own, reached over TCP with a password, as an application would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.workspace import Workspace
from tests.postgres.deployments.site import Site, site


@pytest.fixture
def shop(databases: Callable[..., str], directory: Path) -> Site:
    """It has a table, and one file that is pending."""
    conninfo = make_conninfo(databases(), host="127.0.0.1")
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    password = Path(given["passfile"]).read_text().strip().split(":")[-1]
    url = f"postgresql://{given['user']}:{password}@127.0.0.1:{given['port']}/{given['dbname']}"
    made = site(directory, conninfo, url)
    made.migration("1_plates", "create table plates (id int primary key)")
    return made


@pytest.fixture
def ledger(shop: Site, workspaces: Callable[..., Workspace]) -> Workspace:
    """A workspace that reads its ledger."""
    from tabsync.workspace import find

    return find(shop.directory / "tabsync.toml")
