"""Sixty migrations that fail at each of their statements: what is said to be there against what is there.

The truth comes from the rows of the catalogs, before and after each statement, and never from our own reading.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from tabsync.migrations.changes.judging import Found
from tabsync.migrations.histories.script import Statement, statements
from tabsync.migrations.there import Seen, lacking_of, left_of, what_is_there
from tabsync.postgres.connect import connect
from tabsync.postgres.embedded import Server
from tests.conftest import run_sql
from tests.postgres.migrations import truth
from tests.postgres.migrations.corpus import BASE, MIGRATIONS
from tests.whole import WHOLE

_ROLES = """do $$ declare r text; begin
  foreach r in array array['migration_reader', 'migration_owner'] loop
    if not exists (select from pg_roles where rolname = r) then execute format('create role %I nologin', r); end if;
  end loop; end $$"""
_PATH = ["public"]
_OUTSIDE = ("begin", "start", "commit", "rollback", "savepoint", "release")


UNTOLD = {
    "cascades": 0.6,
    "flyway_data_first": 0.7,
    "flyway_owner": 0.7,
    "flyway_partitions": 0.45,
    "flyway_publication": 0.7,
    "flyway_statistics": 0.6,
    "identity_and_generated": 0.45,
    "index_turned_into_a_constraint": 0.9,
    "inheritance": 0.7,
    "language_of_do": 0.9,
    "not_understood": 1,
    "prisma_relation_mode": 0.5,
    "prisma_schemas": 0.5,
    "rails_scratch": 0.7,
    "rails_two_steps": 0.7,
    "recreated_under_one_name": 0.6,
    "replaced_functions_twice": 0.6,
    "schema_moved": 0.7,
    "supabase_cron": 0.9,
    "supabase_grants": 0.45,
    "supabase_idempotent_types": 0.8,
    "supabase_replaced_policies": 0.6,
    "swapped_columns": 0.6,
    "swapped_tables": 0.6,
    "unsaid_things": 0.9,
}
"""The share of what can't be told, at most, where it is more than a third: what is made and dropped again within the
migration, data, DO blocks and replaced definitions look the same from outside."""


@dataclass
class Story:
    """A migration, done statement by statement. snapshots: of catalog and rows, before the first and after each."""

    name: str
    script: str
    every: list[Statement]
    snapshots: list[dict[str, str]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)

    def changed(self, number: int) -> bool:
        """Whether the statement of a number, from 1, changed anything at all."""
        temporary = re.search(r"(?i)create temp|drop table moved", self.every[number - 1].text)
        return not temporary and self.snapshots[number] != self.snapshots[number - 1]

    def check(self, seen: list[Seen], done: int) -> None:
        """See that nothing wrong is said when some number of the first statements is done."""
        for number, one in enumerate(seen[: len(self.snapshots) - 1], start=1):
            where = f"{self.name}: statement {number} with {done} done: {one.statement.text[:60]!r}: {one}"
            if number <= done and self.changed(number):
                assert one.found in (Found.THERE, Found.UNKNOWN), where
            elif number > done and self.changed(number):
                assert one.found in (Found.ABSENT, Found.UNKNOWN), where
            if self.changed(number):
                (self.unknown if one.found is Found.UNKNOWN else self.told)[kind(one.statement)] += 1
        if self.name == "rails_temporary":
            return  # its own session still has the table
        if self.snapshots[done] != self.snapshots[0]:
            assert left_of(seen), f"{self.name}: with {done} done it is said that nothing is left"
        if self.snapshots[done] != self.snapshots[-1]:
            assert lacking_of(seen), f"{self.name}: with {done} done it is said that all is there"


def kind(statement: Statement) -> str:
    """The first words of a statement."""
    words = [one.text for one in statement.tokens[:3] if one.kind == "word"]
    return " ".join(words[:2]) if words else "psql"


def snapshot(session: psycopg.Connection) -> dict[str, str]:
    return truth.catalog(session) | truth.rows(session)


@pytest.fixture(scope="module")
def template(servers: Callable[[int], Server]) -> Iterator[Callable[[int], str]]:
    made: dict[int, str] = {}

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(server.conninfo(), "create database {} template template0", "migrations_base")
            with psycopg.connect(server.conninfo("migrations_base"), autocommit=True) as session:
                session.execute(_ROLES)
                session.execute(BASE.encode())
            made[major] = "migrations_base"
        return made[major]

    yield of
    for major, name in made.items():
        run_sql(servers(major).conninfo(), "drop database {}", name)


@contextmanager
def looking(conninfo: str, script: str) -> Iterator[Callable[[], list[Seen]]]:
    with connect(conninfo, "tests") as ours:
        yield lambda: what_is_there(ours, script, _PATH)


def runnable(statement: Statement) -> bool:
    """Whether psycopg can send it by itself, out of the transaction that the file opens."""
    first = statement.tokens[0]
    return first.kind == "word" and first.text not in (*_OUTSIDE, "copy")


def tell(conninfo: str, name: str) -> Story:
    """Do a migration statement by statement, until one fails; what is told is checked after each."""
    script = MIGRATIONS[name]
    story = Story(name, script, statements(script))
    with psycopg.connect(conninfo, autocommit=True) as session, looking(conninfo, script) as look:
        story.snapshots.append(snapshot(session))
        seen = [look()]
        for one in story.every:
            try:
                if runnable(one):
                    session.execute(one.text.encode())
            except psycopg.Error as error:
                print(f"{name}: {one.text[:60]!r} failed: {str(error).splitlines()[0]}")
                break
            path = session.execute("show search_path").fetchone()
            session.execute("set search_path to pg_catalog")
            story.snapshots.append(snapshot(session))
            session.execute("select set_config('search_path', %s, false)", path)
            seen.append(look())
        for done, each in enumerate(seen):
            story.check(each, done)
    return story


def rolled_back(conninfo: str, story: Story, done: int) -> None:
    """Do some statements in a transaction that then fails."""
    with psycopg.connect(conninfo) as session, looking(conninfo, story.script) as look:
        with pytest.raises(psycopg.errors.DivisionByZero):
            for one in story.every[:done]:
                if runnable(one):
                    session.execute(one.text.encode())
            session.execute("select 1 / 0")
        session.rollback()
        assert snapshot(session) == story.snapshots[0]
        story.check(look(), 0)


def transactional(story: Story) -> bool:
    return not any("concurrently" in one.text.lower() for one in story.every)


@pytest.mark.parametrize("name", MIGRATIONS)
def test_each_statement_that_fails(name: str, databases: Callable[..., str], template: Callable[[int], str]) -> None:
    for major in (15, 17, 18) if WHOLE else (17,):
        story = tell(databases(major, template=template(major)), name)
        possible = len(story.snapshots) - 1
        if transactional(story) and possible > 0:
            other = databases(major, template=template(major))
            for done in range(1, possible + 1) if WHOLE else (possible,):
                rolled_back(other, story, done)
        told, unknown = story.told.total(), story.unknown.total()
        print(name, major, dict(story.told), "unknown:", dict(story.unknown))
        assert unknown <= (told + unknown) * UNTOLD.get(name, 0.34), (
            f"{name}: {unknown} of {told + unknown} can't be told"
        )
