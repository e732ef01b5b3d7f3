"""Migrations done statement by statement, with what is said of each against the rows of the catalogs themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tabsync.migrations.changes.judging import Found
from tabsync.migrations.histories.script import Statement, statements
from tabsync.migrations.there import Seen, lacking_of, left_of, what_is_there
from tabsync.postgres.connect import connect
from tests.postgres.migrations import truth
from tests.postgres.migrations.corpus import BASE, MIGRATIONS

_ROLES = """do $$ declare r text; begin
  foreach r in array array['migration_reader', 'migration_owner'] loop
    if not exists (select from pg_roles where rolname = r) then execute format('create role %I nologin', r); end if;
  end loop; end $$"""
_PATH = ["public"]
_OUTSIDE = ("begin", "start", "commit", "rollback", "savepoint", "release")


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


def prepare(conninfo: str) -> None:
    """Make what was there before each migration."""
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute(_ROLES)
        session.execute(BASE.encode())


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


def rolled_back(conninfo: str, name: str, *, each: bool) -> list[list[Seen]]:
    """Do the first statements in a transaction that then fails; gives what is said then. each: any number of them.

    Without CREATE INDEX CONCURRENTLY, which no transaction takes.
    """
    script = MIGRATIONS[name]
    every = statements(script)
    found: list[list[Seen]] = []
    if "concurrently" in script.lower():
        return found
    with psycopg.connect(conninfo) as session, looking(conninfo, script) as look:
        before = snapshot(session)
        for last in range(1, len(every) + 1) if each else (len(every),):
            possible = True
            try:
                for one in every[:last]:
                    if runnable(one):
                        session.execute(one.text.encode())
                session.execute("select 1 / 0")
            except psycopg.Error as error:
                possible = isinstance(error, psycopg.errors.DivisionByZero)
            session.rollback()
            found.append(look())
            if not possible:
                break
        assert snapshot(session) == before
    return found
