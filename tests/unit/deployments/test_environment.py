"""Connection strings of a deployment: which variables hold one, and how they take options."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.deployments.environment import Url, urls_in, waiting, with_database, with_options

PLACE = "shop:p%40ss@db.example.com:5432/shop"


def only(value: str) -> Url:
    (found,) = urls_in({"DATABASE_URL": value, "PATH": "/usr/bin", "OTHER": "mysql://a/b"})
    return found


@pytest.mark.parametrize(
    ("value", "conninfo"),
    [
        (f"postgresql://{PLACE}", f"postgresql://{PLACE}"),
        (f"postgres://{PLACE}?schema=public&sslmode=require", f"postgresql://{PLACE}?sslmode=require"),
        (f"postgresql+psycopg://{PLACE}", f"postgresql://{PLACE}"),
        ("jdbc:postgresql://db:5432/shop?user=a&password=b", "postgresql://db:5432/shop?user=a&password=b"),
        (f"postgresql://{PLACE}?pgbouncer=true&connection_limit=1", f"postgresql://{PLACE}"),
    ],
)
def test_it_is_read_as_libpq_takes_it(value: str, conninfo: str) -> None:
    assert only(value).conninfo == conninfo


@pytest.mark.parametrize("value", ["", "postgresql", "http://x", "postgresql://[::1/shop", "postgresql://h:port/d"])
def test_what_is_none_is_left(value: str) -> None:
    assert urls_in({"DATABASE_URL": value}) == []


@pytest.mark.parametrize("scheme", ["postgresql://", "postgres://", "jdbc:postgresql://", "postgresql+asyncpg://"])
@pytest.mark.parametrize("query", ["", "?schema=a", "?options=-c%20search_path%3Da&schema=a"])
def test_options_are_added_and_the_rest_stays(scheme: str, query: str) -> None:
    url = only(f"{scheme}{PLACE}{query}")
    changed = with_options(url, waiting(url.options, 5000))
    asked = parse_qs(urlsplit(changed.partition("://")[2].join(["http://", ""])).query)
    assert asked["options"][0].endswith("-c lock_timeout=5000")
    assert ("search_path" in asked["options"][0]) == ("search_path" in query)
    assert asked.get("schema", [""]) == (["a"] if "schema" in query else [""])
    assert changed.startswith(f"{scheme}{PLACE}?")
    assert only(changed).options == asked["options"][0]


def test_a_bound_that_is_set_already_stays() -> None:
    assert waiting("-c lock_timeout=100", 5000) == "-c lock_timeout=100"
    assert waiting("", 5000) == "-c lock_timeout=5000"


@pytest.mark.parametrize(
    ("value", "pointed"),
    [
        (f"postgresql://{PLACE}?schema=a&sslmode=require", "postgresql://me@127.0.0.1:7000/copy?schema=a"),
        (f"postgresql+psycopg://{PLACE}", "postgresql+psycopg://me@127.0.0.1:7000/copy"),
        (f"postgresql://{PLACE}?pgbouncer=true", "postgresql://me@127.0.0.1:7000/copy"),
        (
            "jdbc:postgresql://db/shop?user=a&password=b&ssl=true",
            "jdbc:postgresql://127.0.0.1:7000/copy?user=me&ssl=true",
        ),
    ],
)
def test_it_is_pointed_to_another_database(value: str, pointed: str) -> None:
    assert with_database(only(value), "postgresql://me@127.0.0.1:7000/copy") == pointed


@given(st.text(max_size=60))
def test_any_value_is_read_without_an_error(text: str) -> None:
    urls_in({"A": text, "B": f"postgresql://{text}", "C": f"postgresql://h/d?{text}"})
