"""Which entries of a dump some tables need: pure, from the dependencies that pg_dump recorded.

`pg_restore --table` restores a table and nothing that it needs or that belongs to it: no type, no sequence, no index,
no constraint, no trigger (https://www.postgresql.org/docs/current/app-pgrestore.html says so under --table).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tabsync.copies.dumps.table_file import IDENTIFIER, unquoted
from tabsync.kernel.errors import BadUsage
from tabsync.postgres.catalog import Relation
from tabsync.postgres.toc import Entry

RELATIONS = ("TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW")
"""Kinds that a person can name."""

_VIEWS = ("VIEW", "MATERIALIZED VIEW")
_ROUTINES = ("FUNCTION", "PROCEDURE", "AGGREGATE")
_ABOUT = ("COMMENT", "ACL", "SECURITY LABEL")
_HANGING = (
    "DEFAULT",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "TABLE ATTACH",
    "TRIGGER",
    "POLICY",
    "ROW SECURITY",
    "RULE",
    "STATISTICS",
    "STATISTICS DATA",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "TABLE DATA",
    "MATERIALIZED VIEW DATA",
)
_CONTAINERS = ("SCHEMA", "EXTENSION", "PROCEDURAL LANGUAGE")
_ROWS = ("TABLE DATA", "SEQUENCE SET")
_INHERITS = re.compile(rf"\nINHERITS \(({IDENTIFIER}\.{IDENTIFIER}(?:, {IDENTIFIER}\.{IDENTIFIER})*)\)")
_QUALIFIED = re.compile(rf"({IDENTIFIER})\.({IDENTIFIER})")
_IN_SCHEMA = re.compile(rf" WITH SCHEMA ({IDENTIFIER});")
_WITH_GIST = re.compile(r" EXCLUDE USING gist | WITHOUT OVERLAPS\b")
_OBJECT_TYPE = re.compile(r"(?<![\w:.\"])reg(proc|oper|type|class|config|dictionary|collation)(?:edure|ator)?\b")
_NAMED_BY: Mapping[str, tuple[str, ...]] = {
    "proc": _ROUTINES,
    "oper": ("OPERATOR",),
    "type": ("TYPE", "DOMAIN"),
    "class": (*RELATIONS, "SEQUENCE"),
    "config": ("TEXT SEARCH CONFIGURATION",),
    "dictionary": ("TEXT SEARCH DICTIONARY",),
    "collation": ("COLLATION",),
}
"""Of types whose values are names of objects (regproc, regclass ...), the kinds of these objects.

https://www.postgresql.org/docs/current/datatype-oid.html
"""

_WORD = re.compile(r'"((?:[^"]|"")+)"|(\w+)')


@dataclass(frozen=True, slots=True)
class Selection:
    """What to restore. dump_ids: in the dump's order; tables: with their rows; brought: definitions that they need.

    left_out: in words, what belongs to the tables but needs one that was not chosen.
    """

    dump_ids: tuple[int, ...]
    tables: tuple[Relation, ...]
    brought: tuple[Relation, ...]
    left_out: tuple[str, ...]


def select(entries: Sequence[Entry], names: Iterable[Relation]) -> Selection:
    """Select some tables with everything they need and everything that belongs to them.

    A partitioned table comes with its partitions, a table with those that inherit from it, a view with the tables that
    it reads, an extension with the rows of its own tables that the dump holds. What belongs to a chosen table but needs
    one that isn't (a foreign key, a policy) is left out, and named.
    Raises BadUsage naming near names when a table isn't in the dump.
    """
    graph = {entry.dump_id: entry for entry in entries}
    chosen = _with_what_they_hold(entries, graph, _named(entries, names))
    found = _needs(graph, chosen)
    allowed = {one for one in found if graph[one].kind in RELATIONS}
    left_out: dict[int, str] = {}
    grew = True
    while grew:
        before = len(found)
        for entry in entries:
            if entry.dump_id in found or not _belongs(entry, graph, found, chosen):
                continue
            strange = {one for one in _needs(graph, {entry.dump_id}) if graph[one].kind in RELATIONS} - allowed
            if not strange:
                found |= _needs(graph, {entry.dump_id})
            elif own := _own_table(entry, graph, chosen):
                left_out[entry.dump_id] = _describe(entry, own, sorted(strange), graph)
        found |= _mentioned(entries, graph, found, allowed)
        grew = len(found) > before
    found |= _schema_grants(entries, graph, chosen) | _operator_classes(entries, graph, found)
    found |= {one for one, owners in configuration(entries).items() if owners <= found}
    found |= _named_in_rows(entries, graph, found)
    allowed = {one for one in found if graph[one].kind in RELATIONS}
    return Selection(
        tuple(entry.dump_id for entry in entries if entry.dump_id in found),
        _relations(graph, chosen),
        _relations(graph, allowed - chosen),
        tuple(left_out[one] for one in sorted(left_out)),
    )


def without(entries: Sequence[Entry], selection: Selection, present: set[int]) -> tuple[int, ...]:
    """The selection without what the target has already, and without what would change that: a sequence that counts
    there goes on counting, grants and comments stay as they are."""
    about = (*_ABOUT, "SEQUENCE SET", "SEQUENCE OWNED BY", "CHECK CONSTRAINT")
    dropped = set(present)
    for entry in entries:
        if entry.kind in about and not dropped.isdisjoint(entry.dependencies):
            dropped.add(entry.dump_id)
    dropped |= {one for one, owners in configuration(entries).items() if not owners.isdisjoint(present)}
    return tuple(one for one in selection.dump_ids if one not in dropped)


def _named(entries: Sequence[Entry], names: Iterable[Relation]) -> set[int]:
    known = {Relation(entry.schema, entry.name): entry.dump_id for entry in entries if entry.kind in RELATIONS}
    chosen = set()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), map(str, known), 3, 0.5)
            near += [str(one) for one in known if one.name == name.name and str(one) not in near]
            hint = f"did you mean {', '.join(near)}?" if near else "to see its tables: tabsync backup show ID"
            raise BadUsage(f"there is no table {name} in the backup", hint)
        chosen.add(known[name])
    return chosen


def _with_what_they_hold(entries: Sequence[Entry], graph: Mapping[int, Entry], chosen: set[int]) -> set[int]:
    """Add what one sees through them: partitions, tables that inherit, and the tables behind views."""
    below = _below(entries, graph)
    found: set[int] = set()
    waiting = list(chosen)
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        waiting += below.get(one, ())
        if graph[one].kind in _VIEWS:
            waiting += [needed for needed in _needs(graph, {one}) if graph[needed].kind in RELATIONS]
    return found


def _below(entries: Sequence[Entry], graph: Mapping[int, Entry]) -> dict[int, list[int]]:
    """The partitions of each partitioned table, and the tables that inherit from each one."""
    tables = {(entry.schema, entry.name): entry.dump_id for entry in entries if entry.kind in RELATIONS}
    below: dict[int, list[int]] = {}
    for entry in entries:
        own = tables.get((entry.schema, entry.name))
        if entry.kind == "TABLE ATTACH" and own is not None:
            for parent in set(entry.dependencies) - {own}:
                if parent in graph and graph[parent].kind in RELATIONS:
                    below.setdefault(parent, []).append(own)
        elif entry.kind in ("TABLE", "FOREIGN TABLE") and (match := _INHERITS.search(entry.definition)):
            for schema, name in _QUALIFIED.findall(match[1]):
                if (above := tables.get((unquoted(schema), unquoted(name)))) is not None:
                    below.setdefault(above, []).append(entry.dump_id)
    return below


def configuration(entries: Sequence[Entry]) -> dict[int, set[int]]:
    """The rows of extensions' own tables that a dump holds, each with the extensions that it may be of.

    Such a table stands in no dump: CREATE EXTENSION makes it. The dump doesn't say which one: it is one of that schema
    or, where an extension of a fixed schema is listed under another, any of them.
    """
    schemas = {
        entry.dump_id: unquoted(match[1]) if (match := _IN_SCHEMA.search(entry.definition)) else ""
        for entry in entries
        if entry.kind == "EXTENSION"
    }
    there = {entry.dump_id for entry in entries}
    found: dict[int, set[int]] = {}
    for entry in entries:
        if entry.kind in _ROWS and schemas and there.isdisjoint(entry.dependencies):
            near = {one for one, schema in schemas.items() if schema == entry.schema}
            found[entry.dump_id] = near or set(schemas)
    return found


def _needs(graph: Mapping[int, Entry], roots: Iterable[int]) -> set[int]:
    """The roots and everything that they need, directly or not."""
    found: set[int] = set()
    waiting = [one for one in roots if one in graph]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += [needed for needed in graph[one].dependencies if needed in graph]
    return found


def _belongs(entry: Entry, graph: Mapping[int, Entry], found: set[int], chosen: set[int]) -> bool:
    """Whether an entry hangs on something that was found. Of tables that were only brought along, no rows."""
    on = {one for one in entry.dependencies if one in graph}
    if entry.kind in _ABOUT:
        return bool(on) and on <= found
    if entry.kind not in _HANGING:
        return False
    if entry.kind in ("SEQUENCE", "TABLE DATA", "MATERIALIZED VIEW DATA"):
        return not on.isdisjoint(chosen)
    return any(graph[one].kind not in _CONTAINERS for one in on & found)


def _own_table(entry: Entry, graph: Mapping[int, Entry], chosen: set[int]) -> Relation | None:
    """The chosen table whose part an entry is. Constraints and triggers are called "TABLE NAME" in the dump."""
    for one in chosen:
        table = graph[one]
        if entry.schema == table.schema and (entry.name == table.name or entry.name.startswith(f"{table.name} ")):
            return Relation(table.schema, table.name)
    return None


def _describe(entry: Entry, own: Relation, strange: Sequence[int], graph: Mapping[int, Entry]) -> str:
    needs = ", ".join(str(Relation(graph[one].schema, graph[one].name)) for one in strange)
    what = f"{entry.kind.lower()} {entry.name.removeprefix(own.name).strip()}".strip()
    return f"{what} of {own}: needs {needs}"


def _mentioned(entries: Sequence[Entry], graph: Mapping[int, Entry], found: set[int], allowed: set[int]) -> set[int]:
    """Routines that the text of a found routine mentions: pg_dump sees no dependency in a body that is a string."""
    words = {
        quoted.replace('""', '"') or plain
        for one in found
        if graph[one].kind in _ROUTINES
        for quoted, plain in _WORD.findall(graph[one].definition)
    }
    more: set[int] = set()
    for entry in entries:
        if entry.kind in _ROUTINES and entry.dump_id not in found and entry.name.partition("(")[0] in words:
            needed = _needs(graph, {entry.dump_id})
            if {one for one in needed if graph[one].kind in RELATIONS} <= allowed:
                more |= needed
    return more


def _named_in_rows(entries: Sequence[Entry], graph: Mapping[int, Entry], found: set[int]) -> set[int]:
    """All that values may name, where tables have columns of types like regproc: COPY refuses names of nothing."""
    holding = [graph[one].definition for one in found if graph[one].kind in ("TABLE", "TYPE", "DOMAIN")]
    kinds = {kind for text in holding for what in _OBJECT_TYPE.findall(text) for kind in _NAMED_BY[what]}
    return _needs(graph, {entry.dump_id for entry in entries if entry.kind in kinds})


def _operator_classes(entries: Sequence[Entry], graph: Mapping[int, Entry], found: set[int]) -> set[int]:
    """The extension by which GiST compares numbers and texts: a constraint in a dump doesn't name it."""
    gist = any(graph[one].kind == "CONSTRAINT" and _WITH_GIST.search(graph[one].definition) for one in found)
    theirs = {entry.dump_id for entry in entries if entry.kind == "EXTENSION" and entry.name == "btree_gist"}
    return _needs(graph, theirs) if gist else set()


def _schema_grants(entries: Sequence[Entry], graph: Mapping[int, Entry], chosen: set[int]) -> set[int]:
    """Grants on the schema public hang on nothing in the dump, since it isn't made there."""
    schemas = {f"SCHEMA {graph[one].schema}" for one in chosen}
    return {entry.dump_id for entry in entries if entry.kind == "ACL" and entry.name in schemas}


def _relations(graph: Mapping[int, Entry], ids: Iterable[int]) -> tuple[Relation, ...]:
    return tuple(Relation(graph[one].schema, graph[one].name) for one in sorted(ids))
