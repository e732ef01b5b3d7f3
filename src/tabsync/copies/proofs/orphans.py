"""Rows that point at nothing, counted as PostgreSQL itself looks a foreign key up.

Not with "=": that is whichever operator a name finds, and a type of an extension (citext) may have its own, outside of
the search path. The catalog knows the operator of each column, and the collation.
https://www.postgresql.org/docs/current/catalog-pg-constraint.html
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.postgres.catalog import ForeignKey, Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = named(__package__, "orphans.sql")


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a key's columns are compared. operators, collations: as SQL, in the key's order; only_table,
    only_referenced: without what inherits from them; period: the last column is covered, not equal."""

    operators: tuple[str, ...] = ()
    collations: tuple[str, ...] = ()
    only_table: bool = False
    only_referenced: bool = False
    period: bool = False


def comparisons(connection: Connection) -> dict[tuple[Relation, str], Comparison]:
    """How each foreign key of a database compares, by its table and name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {
            (Relation(row["schema"], row["table"]), row["name"]): Comparison(
                tuple(row["operators"]),
                tuple(row["collations"]),
                row["only_table"],
                row["only_referenced"],
                row["period"],
            )
            for row in cursor.execute(SQL["keys"], {})
        }


def count_orphans(connection: Connection, key: ForeignKey, how: Comparison) -> int:
    """Rows of a table whose foreign key finds no row; NULLs count as MATCH SIMPLE and MATCH FULL say.

    https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK
    """
    pairs = [_pair(key, how, place) for place in range(len(key.columns))]
    given = [sql.SQL("{} is not null").format(sql.Identifier("child", name)) for name in key.columns]
    # MATCH SIMPLE lets a row through when any column is NULL, MATCH FULL only when all are.
    applies = sql.SQL(" or " if key.match == "f" else " and ").join(given)
    query = sql.SQL("select count(*) from {child} as child where ({applies}) and {lacking}").format(
        child=_from(key.table, only=how.only_table), applies=applies, lacking=_lacking(key, how, pairs)
    )
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _lacking(key: ForeignKey, how: Comparison, pairs: list[sql.Composed]) -> sql.Composed:
    parent = _from(key.referenced, only=how.only_referenced)
    if not how.period:
        return sql.SQL("not exists (select from {} as parent where {})").format(parent, sql.SQL(" and ").join(pairs))
    # The ranges of all the rows that it points at must cover its own together.
    return sql.SQL(
        "not coalesce({} operator(pg_catalog.<@) (select pg_catalog.range_agg({}) from {} as parent where {}), false)"
    ).format(
        sql.Identifier("child", key.columns[-1]),
        sql.Identifier("parent", key.referenced_columns[-1]),
        parent,
        sql.SQL(" and ").join(pairs[:-1]),
    )


def _pair(key: ForeignKey, how: Comparison, place: int) -> sql.Composed:
    operator = how.operators[place] if place < len(how.operators) else "="
    collation = how.collations[place] if place < len(how.collations) else ""
    return sql.SQL("{} {} {} {}").format(
        sql.Identifier("parent", key.referenced_columns[place]),
        sql.SQL(operator),  # from the catalog, quoted there
        sql.Identifier("child", key.columns[place]),
        sql.SQL(collation),
    )


def _from(relation: Relation, *, only: bool) -> sql.Composed:
    return sql.SQL("only {}" if only else "{}").format(relation.identifier())
