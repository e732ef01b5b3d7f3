"""Databases with the small shop, and workspaces on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Databases, Servers, run_sql
from tests.postgres.orders.shop import prepare_shop


@pytest.fixture(scope="session")
def shop_template(servers: Servers) -> Callable[[int], str]:
    """The name of a template database of a major version."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(server.conninfo(), "create database {}", "shop")
            prepare_shop(server.conninfo("shop"))
            made.add(major)
        return "shop"

    return of


@pytest.fixture
def shops(databases: Databases, shop_template: Callable[[int], str]) -> Callable[..., str]:
    """A fresh shop on a server of a major version."""

    def make(major: int = 17) -> str:
        return databases(major, template=shop_template(major))

    return make


@pytest.fixture
def shop(shops: Callable[..., str]) -> str:
    """A fresh shop."""
    return shops()
