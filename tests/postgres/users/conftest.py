"""Databases with people whose roles are guarded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.conftest import Databases, Servers, run_sql
from tests.postgres.users import people
from tests.whole import WHOLE


@pytest.fixture(scope="session")
def guarded_template(servers: Servers) -> Callable[[int], str]:
    """The name of a template database of a major version: the profile, the people, the log."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(server.conninfo(), "create database {}", "guarded")
            people.prepare(server.conninfo("guarded"))
            made.add(major)
        return "guarded"

    return of


@pytest.fixture
def guarded_on() -> Callable[[str], None]:
    """Makes an empty database one of them."""
    return people.prepare


@pytest.fixture
def guarded(databases: Databases, guarded_template: Callable[[int], str]) -> Callable[..., str]:
    """A fresh one of them."""

    def make(major: int = 17) -> str:
        return databases(major, template=guarded_template(major))

    return make


@pytest.fixture(params=(15, 17, 18) if WHOLE else (18,))
def session(guarded: Callable[..., str], request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A superuser's session in one of them."""
    with psycopg.connect(guarded(request.param), autocommit=True) as connection:
        yield connection
