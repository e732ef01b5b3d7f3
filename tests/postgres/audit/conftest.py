"""Databases of the TabSync profile with the audit log installed, cloned from a template."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tabsync.audit.install import install_for_tests
from tabsync.manual.load import load
from tabsync.postgres.connect import Connection, connect
from tabsync.workspace import PROFILE_MANUAL
from tests.conftest import Databases, Servers, run_sql

Audited = Callable[..., str]


def install(connection: Connection) -> None:
    """Install what the profile's manual says."""
    manual = load(PROFILE_MANUAL)
    assert manual.audit is not None
    install_for_tests(connection, manual.audit, manual.users, manual.hierarchy)


@pytest.fixture(scope="session")
def audited_template(servers: Servers, restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """The name of a template database of the profile with the audit log installed."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            run_sql(
                servers(major).conninfo(), "create database audited template {} strategy file_copy", restaurant(major)
            )
            with connect(servers(major).conninfo("audited"), "tests") as connection:
                install(connection)
            made.add(major)
        return "audited"

    return of


@pytest.fixture
def audited(databases: Databases, audited_template: Callable[[int], str]) -> Audited:
    """A fresh database of the profile in which the manual's tables are audited; gives its connection string."""

    def make(major: int = 17) -> str:
        return databases(major, template=audited_template(major))

    return make
