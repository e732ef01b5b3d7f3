"""Databases with the small shop, and workspaces on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Databases, Servers, run_sql
from tests.postgres.orders.shop import TABLES, Conn, prepare_shop


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


@pytest.fixture
def owned(shop: str) -> Iterator[str]:
    """A shop whose tables belong to a role without rights."""
    with psycopg.connect(shop, autocommit=True) as admin:
        admin.execute("create role mallory login")
        admin.execute("grant create, usage on schema public to mallory")
        for name in TABLES:
            admin.execute(sql.SQL("alter table {} owner to mallory").format(sql.Identifier(name)))
        admin.execute("grant select on table_sessions to mallory")
        admin.execute("grant update on table_sessions to mallory")
        admin.execute("alter function orders_admission() owner to mallory")
        try:
            yield shop
        finally:
            admin.execute("drop owned by mallory cascade")
            admin.execute("drop role mallory")


@pytest.fixture
def admin(owned: str) -> Iterator[Conn]:
    """A superuser in it."""
    with psycopg.connect(owned, autocommit=True) as connection:
        yield connection
