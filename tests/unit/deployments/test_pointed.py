"""The environment of a rehearsal: whatever named the real database names the copy, or is refused."""

from __future__ import annotations

import pytest

from tabsync.deployments.pointed import check_nowhere_else, pointed
from tabsync.kernel.errors import Refused

COPY = "postgresql://postgres:pw@127.0.0.1:7000/shop"
CONNINFO = "host=127.0.0.1 port=7000 user=postgres dbname=shop"
REAL = "host=db.example.com user=me dbname=shop password=s3cret-of-it"


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://me:pw@a:5432,b:5432/shop",
        "postgresql://me:p#w@db.example.com/shop",
        "postgresql://me:p[w@db.example.com/shop",
        "host=db.example.com dbname=shop",
        "service=shop",
        "ecto://me:pw@db.example.com/shop",
        "postgis://me:pw@db.example.com/shop",
        "jdbc:postgresql://db.example.com/shop",
    ],
)
def test_every_form_leads_to_the_copy(value: str) -> None:
    found = pointed({"DATABASE_URL": value, "OTHER": value, "PATH": "/bin"}, COPY, CONNINFO, "run")
    for name in ("DATABASE_URL", "OTHER"):
        assert "127.0.0.1:7000" in found[name], found[name]
        assert "db.example.com" not in found[name]
    assert found["PATH"] == "/bin"
    check_nowhere_else(found, COPY, REAL)


def test_where_none_is_named_it_is_set() -> None:
    found = pointed({"PGSERVICE": "shop", "PGHOST": "db.example.com"}, COPY, CONNINFO, "run")
    assert (found["DATABASE_URL"], found["PGHOST"], found["PGPASSWORD"]) == (COPY, "127.0.0.1", "pw")
    assert "PGSERVICE" not in found


@pytest.mark.parametrize(
    "given", [{"DB_HOST": "db.example.com"}, {"DB_PASS": "s3cret-of-it"}, {"SITE": "mysql://me:pw@db/shop"}]
)
def test_another_way_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(Refused, match=f"the variable {next(iter(given))} "):
        check_nowhere_else(given, COPY, REAL)


def test_what_is_no_way_to_a_database_stays() -> None:
    check_nowhere_else({"API": "https://me:pw@api.example.com/", "REDIS": "redis://a:b@c", "LANG": "C"}, COPY, REAL)
