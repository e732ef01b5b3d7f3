"""Sixty migrations that fail at each of their statements: what is said to be there against what is there.

The truth comes from the rows of the catalogs, before and after each statement, and never from our own reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tabsync.postgres.embedded import Server
from tests.conftest import run_sql
from tests.postgres.migrations.corpus import MIGRATIONS
from tests.postgres.migrations.stories import prepare, rolled_back, tell
from tests.whole import WHOLE

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


@pytest.fixture(scope="module")
def template(servers: Callable[[int], Server]) -> Iterator[Callable[[int], str]]:
    made: dict[int, str] = {}

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(server.conninfo(), "create database {} template template0", "migrations_base")
            prepare(server.conninfo("migrations_base"))
            made[major] = "migrations_base"
        return made[major]

    yield of
    for major, name in made.items():
        run_sql(servers(major).conninfo(), "drop database {}", name)


@pytest.mark.parametrize("name", list(MIGRATIONS) if WHOLE else list(MIGRATIONS)[::4])
def test_each_statement_that_fails(name: str, databases: Callable[..., str], template: Callable[[int], str]) -> None:
    for major in (15, 17, 18) if WHOLE else (17,):
        conninfo = databases(major, template=template(major))
        afterwards = rolled_back(conninfo, name, each=WHOLE)
        story = tell(conninfo, name)
        for seen in afterwards:
            story.check(seen, 0)
        told, unknown = story.told.total(), story.unknown.total()
        print(name, major, dict(story.told), "unknown:", dict(story.unknown))
        assert unknown <= (told + unknown) * UNTOLD.get(name, 0.34), f"{unknown} of {told + unknown} can't be told"


def test_there_are_sixty() -> None:
    assert len(MIGRATIONS) >= 60
