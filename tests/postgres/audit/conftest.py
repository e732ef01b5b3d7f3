"""TabSync databases in which the audit log is installed, cloned from a template."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tabsync.audit.install import install_for_tests
from tabsync.manual.load import load
from tabsync.workspace import PROFILE_MANUAL
from tests.conftest import _NO_LIMIT, Databases, Servers, run_sql
from tests.sessions import connect


@pytest.fixture(scope="session")
def audited_restaurant(servers: Servers, restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """The name of a template database: the TabSync profile with 300 orders, and its audit log as the manual has it."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(
                server.conninfo(), "create database {} template {} strategy file_copy", "audited", restaurant(major)
            )
            manual = load(PROFILE_MANUAL)
            assert manual.audit
            with connect(server.conninfo("audited"), "tests", limits=_NO_LIMIT) as connection:
                install_for_tests(connection, manual.audit, manual.users, manual.hierarchy)
            made.add(major)
        return "audited"

    return of


@pytest.fixture
def audited_database(databases: Databases, audited_restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """A fresh TabSync database with its audit log."""

    def make(major: int = 17) -> str:
        return databases(major, template=audited_restaurant(major))

    return make
