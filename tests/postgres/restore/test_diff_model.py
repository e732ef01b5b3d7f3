"""restore diff, against a model: random rows on two sides, and what a dictionary says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabsync.backups.restore.diff.merge import of_record
from tabsync.backups.restore.diff.rows import compare_rows
from tabsync.backups.restore.diff.sides import looked_at, opened
from tabsync.backups.restore.diff.tables import paired, tables_of
from tabsync.backups.restore.diff.work import Compared, Work
from tabsync.postgres.catalog import Relation
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.restore.compared import Facts, Site, database, site
from tests.whole import WHOLE

_TABLES = """
create table keyed (a int, b text collate "C", v text, n numeric, primary key (b, a));
create table numbers (k numeric primary key, v text);
create table bag (a int, v text);
"""
_TEXTS = st.text(st.sampled_from("ab,\"()\\\n\t 'é"), max_size=4)
_VALUES = st.none() | _TEXTS
_KEYED = st.dictionaries(st.tuples(st.integers(0, 5), _TEXTS), st.tuples(_VALUES, st.none() | st.sampled_from([1, 2])))
_NUMBERS = st.dictionaries(st.integers(0, 8), st.tuples(st.integers(0, 2), _VALUES))
_BAG = st.lists(st.tuples(st.none() | st.integers(0, 2), st.sampled_from([None, "", "x"])), max_size=12)
_EXAMPLES = 150 if WHOLE else 25


@dataclass(frozen=True)
class Two:
    """The databases, and who they are."""

    site: Site
    who: Facts

    @property
    def new(self) -> str:
        """The connection string of NEW."""
        return self.site.new

    @property
    def old(self) -> str:
        """That of OLD."""
        return self.site.old


@pytest.fixture
def two(databases: Databases, workspaces: Callable[..., Workspace]) -> Two:
    made = site(databases, workspaces, _TABLES)
    return Two(made, looked_at(made.workspace, {"new": database(made.new), "old": database(made.old)}))


@settings(max_examples=_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(new=_KEYED, old=_KEYED)
def test_keyed_rows(two: Two, new: dict[Any, Any], old: dict[Any, Any]) -> None:
    for conninfo, rows in ((two.new, new), (two.old, old)):
        _set(conninfo, "keyed", [(*key, *values) for key, values in rows.items()])
    both = new.keys() & old.keys()
    different = {key for key in both if new[key] != old[key]}
    expected = (len(new) - len(both), len(old) - len(both), len(different), len(both) - len(different))
    done = _compared(two, "keyed")
    assert _counts(done) == expected
    assert {(int(a), b) for b, a in done.found.first_different} == different
    assert {(int(a), b) for b, a in done.found.first_new} == new.keys() - old.keys()
    assert {(int(a), b) for b, a in done.found.first_old} == old.keys() - new.keys()


@settings(max_examples=_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(new=_NUMBERS, old=_NUMBERS)
def test_keys_that_are_written_in_several_ways(two: Two, new: dict[Any, Any], old: dict[Any, Any]) -> None:
    for conninfo, rows in ((two.new, new), (two.old, old)):
        _set(conninfo, "numbers", [(Decimal(k).quantize(Decimal(10) ** -scale), v) for k, (scale, v) in rows.items()])
    both = new.keys() & old.keys()
    different = sum(new[key] != old[key] for key in both)
    expected = (len(new) - len(both), len(old) - len(both), different, len(both) - different)
    assert _counts(_compared(two, "numbers")) == expected


@settings(max_examples=_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(new=_BAG, old=_BAG)
def test_rows_without_a_key(two: Two, new: list[Any], old: list[Any]) -> None:
    for conninfo, rows in ((two.new, new), (two.old, old)):
        _set(conninfo, "bag", rows)
    here, there = Counter(new), Counter(old)
    expected = ((here - there).total(), (there - here).total(), 0, (here & there).total())
    assert _counts(_compared(two, "bag")) == expected


@settings(max_examples=_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.lists(st.text(st.sampled_from("ab,\"()\\\n 'é")), min_size=2, max_size=4))
def test_a_record_is_read_as_postgresql_writes_it(two: Two, fields: list[str]) -> None:
    with psycopg.connect(two.new) as connection:
        marks = ", ".join(["%s::text"] * len(fields))
        row = connection.execute(f"select row({marks})::text", fields).fetchone()
    assert row is not None
    assert of_record(row[0]) == tuple(fields)


def _set(conninfo: str, table: str, rows: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute(f"delete from {table}")
        if rows:
            marks = ", ".join(["%s"] * len(rows[0]))
            statement = f"insert into {table} values ({marks})"
            connection.cursor().executemany(statement, rows)


def _compared(two: Two, table: str) -> Compared:
    """The rows of a table compared, without the rest of the command."""
    name = Relation("public", table)
    place = two.site.workspace.scratch("model")
    place.mkdir(parents=True, exist_ok=True)
    with opened(two.site.workspace, two.who, 60) as sides:
        work = Work(*sides, 100, place, lambda *_: None, lambda: None)
        new, old = (tables_of(side.connection)[name] for side in sides)
        done = compare_rows(work, paired(new, old))
    assert not done.reason, done.reason
    return done


def _counts(done: Compared) -> tuple[int, int, int, int]:
    return done.found.only_new, done.found.only_old, done.found.different, done.same
