"""The proof that statements only read: their functions, operators, casts and views, looked up and judged.

Looking up (look_up) asks the server, for all statements at once. Judging (could_act, judged) is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tabsync.postgres.known_functions import ALLOWED_OF_EXTENSIONS, ALLOWED_VOLATILE, SIDE_EFFECTS_NOT_VOLATILE
from tabsync.postgres.pipe import Pipe
from tabsync.postgres.queries import named
from tabsync.postgres.readonly_text import aliases_of, names_of, tables_of
from tabsync.postgres.scan import Names, scan

Row: TypeAlias = Mapping[str, Any]

_SQL = named(__package__, "readonly.sql")
_IMPLICIT = frozenset({"=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "~"})
"""Operators that are used without being written: they stand behind IN, BETWEEN, LIKE, CASE, NULLIF."""

COMPUTED_TO_READ = frozenset({"an index", "statistics", "a partition key", "a generated column"})
"""The stored expressions of which the planner computes a part when a table is read; policies and CHECKs are left out
by the settings of a reading transaction, and views are looked into."""

VOLATILE = "has side effects, or may have"
"""Said of PostgreSQL's own volatile functions, but those that only look."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a statement. told: why it may not run, () when it may; path: where its names are looked up.

    path is None where all its names are PostgreSQL's own: then nobody's objects are in the way.
    """

    told: tuple[str, ...]
    path: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """What some statements could mean by their names. strangers: tables that PostgreSQL's own schema doesn't have."""

    functions: Sequence[Row]
    types: Sequence[Row]
    type_names: Sequence[Row]
    keywords: frozenset[str]
    operators: Sequence[Row]
    casts: Sequence[Row]
    relations: Sequence[Row]
    stored: Sequence[Row]
    strangers: frozenset[str]
    behind: Mapping[int, Sequence[str]]


def look_up(pipe: Pipe, texts: Sequence[str], schemas: Collection[str]) -> Catalog:
    """Look up what the names of statements can mean in some schemas, in one round trip, or two where there are views.

    Raises psycopg.Error when the server refuses it, ValueError as scan() does.
    """
    names = [names_of(text) for text in texts]
    values = {
        "words": sorted({name for one in names for name in one.words}),
        "schemas": sorted({"pg_catalog", *schemas}),
        "names": sorted({name for one in names for name in one.called | one.attributes}),
        "types": sorted({name for one in names for name in one.types}),
        "called": sorted({name for one in names for name in one.called}),
        "tables": sorted({name for text in texts for name in tables_of(text)}),
    }
    asked = ("functions", "types", "is_type", "keywords", "operators", "casts", "relations", "stored", "others")
    functions, types, type_names, keywords, operators, casts, relations, stored, others = pipe.look(
        *(pipe.filled(_SQL[query], values) for query in asked)
    )
    return Catalog(
        functions,
        types,
        type_names,
        frozenset(row["word"] for row in keywords),
        operators,
        casts,
        relations,
        stored,
        frozenset(row["name"] for row in others),
        _behind_views(pipe, sorted({row["oid"] for row in relations if row["kind"] == "v"})),
    )


def _behind_views(pipe: Pipe, views: Sequence[int]) -> Mapping[int, Sequence[str]]:
    """Why views can't be trusted, by what their stored rules call."""
    found: dict[int, list[str]] = {}
    if not views:
        return found
    asked = ("view_functions", "view_domains")
    calls, domains = pipe.look(*(pipe.filled(_SQL[query], {"views": list(views)}) for query in asked))
    for row in calls:
        if reason := _reason(row):
            text = f"the view {row['view']} calls {_qualified(row)}, which {reason}"
            found.setdefault(row["oid"], []).append(text)
    for row in domains:
        found.setdefault(row["oid"], []).append(f"the view {row['view']} casts to a domain, which can run a CHECK")
    return found


def judged(sql: str, catalog: Catalog, every: Sequence[str], path: Sequence[str]) -> Proof:
    """The proof of one of the statements that a catalog was looked up for.

    every, path: the schemas in which the application's names are looked up, with and without PostgreSQL's own ones.
    """
    own = not tables_of(sql) & catalog.strangers and not could_act(sql, catalog, ("pg_catalog",))
    return Proof((), None) if own else Proof(tuple(could_act(sql, catalog, every)), tuple(path))


def could_act(sql: str, catalog: Catalog, schemas: Sequence[str]) -> list[str]:
    """Why a statement's functions, operators, casts and views can't be trusted to only read; [] when they can.

    schemas: in which its names are looked up. Names are taken by what they could mean, rather too many than too few.
    """
    names = names_of(sql)
    reached = names.words | set(schemas)
    asked = names.called | names.attributes
    functions = [row for row in catalog.functions if row["proname"] in asked and row["nspname"] in reached]
    refused = {
        f"{_qualified(row)} {reason}"
        for row in functions
        if (reason := _reason(row)) and (row["proname"] in names.called or row["takes_arguments"])
    }
    found = {row["proname"] for row in functions}
    refused |= {f"the function {name} does not exist here" for name in _unknown(names, found, reached, sql, catalog)}
    # An extension's view has a type of the same name as the function behind it: no cast is meant.
    types = names.types - {row["proname"] for row in functions if row["extname"]}
    refused |= {
        f"a cast to {row['typname']} can run a CHECK"
        for row in catalog.types
        if row["typname"] in types and row["nspname"] in reached
    }
    refused |= {
        f"the operator {row['operator']} is not one of PostgreSQL's"
        for row in catalog.operators
        if row["nspname"] in reached and (row["oprname"] in _IMPLICIT or row["oprname"] in sql)
    }
    written = any(token.text in ("cast", ":") for token in scan(sql))
    refused |= {
        f"the cast {row['name']} calls a function" for row in catalog.casts if written or row["castcontext"] == "i"
    }
    refused |= set(stored_with(names, reached, catalog, COMPUTED_TO_READ))
    return sorted(refused | set(_behind_relations(names, reached, catalog)))


def _qualified(row: Row) -> str:
    return str(row["proname"] if row["builtin"] else f"{row['nspname']}.{row['proname']}")


def _reason(row: Row) -> str:
    """Why a function of the catalog may not be called, or "" when it may."""
    name = row["proname"]
    if row["builtin"]:
        if SIDE_EFFECTS_NOT_VOLATILE.fullmatch(name):
            return "runs other SQL or assigns a transaction id"
        looks = not row["volatile"] or name in ALLOWED_VOLATILE or name.startswith("pg_stat_get_")
        return "" if looks else VOLATILE
    if (row["extname"], name) in ALLOWED_OF_EXTENSIONS:
        return ""
    return "is not one of PostgreSQL's functions, so its effects are unknown"


def _unknown(names: Names, found: set[str], reached: Collection[str], sql: str, catalog: Catalog) -> Iterable[str]:
    """Names before a parenthesis that are neither function, type, grammar, nor an alias with its columns."""
    types = {row["typname"] for row in catalog.type_names if row["nspname"] in reached}
    return sorted(names.called - found - types - catalog.keywords - aliases_of(sql))


def _behind_relations(names: Names, reached: Collection[str], catalog: Catalog) -> Iterator[str]:
    for row in catalog.relations:
        if row["root"] not in names.words or row["nspname"] not in reached:
            continue
        if row["kind"] == "f":
            yield f"{row['name']} is a foreign table: reading it connects to another system"
        yield from catalog.behind.get(row["oid"], ())


def stored_with(names: Names, reached: Collection[str], catalog: Catalog, kinds: Collection[str]) -> Iterator[str]:
    """Why what is stored with the relations that a statement can name can't be trusted. kinds: of expressions."""
    for row in catalog.stored:
        if row["what"] not in kinds or row["root"] not in names.words or row["root_schema"] not in reached:
            continue
        if row["builtin"] and not SIDE_EFFECTS_NOT_VOLATILE.fullmatch(row["proname"]):
            continue
        if not row["is_never_computed"]:
            yield f"{row['what']} of {row['relation']} calls {_qualified(row)}"


def types_named(texts: Iterable[str]) -> set[str]:
    """The names of some statements that can be meant as a type; of a text that can't be read, none."""
    found: set[str] = set()
    for text in texts:
        try:
            found |= names_of(text).types
        except ValueError:
            continue
    return found
