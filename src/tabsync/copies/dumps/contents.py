"""What a dump holds: everything, definitions, rows, or the rows of some tables with all definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, cast, get_args

from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation

Kind = Literal["full", "schema", "data", "tables"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Contents:
    """What to dump. without: tables left out altogether; rows_left_out: tables of which only the definition is dumped.

    schemas_left_out: schemas left out altogether, which are a provider's own; large_objects: whether they come along.

    The kind "tables" keeps all definitions: a table alone can't be restored, it lacks its types, functions and
    sequences. That is what `pg_dump --table` gives, and why `pg_restore --table` fails in a new database.
    """

    kind: Kind = "full"
    without: tuple[Relation, ...] = ()
    rows_left_out: tuple[Relation, ...] = ()
    schemas_left_out: tuple[str, ...] = ()
    large_objects: bool = True

    def options(self) -> list[str]:
        """The options for pg_dump: https://www.postgresql.org/docs/current/app-pgdump.html"""
        options = {"schema": ["--schema-only"], "data": ["--data-only"], "tables": ["--no-blobs"]}.get(self.kind, [])
        options = options + ([] if self.large_objects else ["--no-blobs"])
        options = options + [f"--exclude-schema={quoted_pattern(name)}" for name in self.schemas_left_out]
        options = options + [f"--exclude-table={pattern(one)}" for one in self.without]
        return options + [f"--exclude-table-data={pattern(one)}" for one in self.rows_left_out]

    def to_json(self) -> Facts:
        """As a step's argument; its inverse is contents_from_json."""
        return asdict(self)


def contents_from_json(data: Facts) -> Contents:
    """Contents as a step keeps them."""
    lists = {key: tuple(Relation(**one) for one in data[key]) for key in ("without", "rows_left_out")}
    schemas = tuple(data["schemas_left_out"])
    return Contents(cast(Kind, data["kind"]), **lists, schemas_left_out=schemas, large_objects=data["large_objects"])


def pattern(relation: Relation) -> str:
    """A pattern of pg_dump that matches this one table: in double quotes nothing is special.

    https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-PATTERNS
    """
    return f"{quoted_pattern(relation.schema)}.{quoted_pattern(relation.name)}"


def quoted_pattern(name: str) -> str:
    """A pattern of pg_dump that matches this one name."""
    return '"' + name.replace('"', '""') + '"'


def all_but(tables: Sequence[Relation], wanted: Sequence[Relation]) -> tuple[Relation, ...]:
    """The tables that aren't wanted."""
    return tuple(one for one in tables if one not in set(wanted))
