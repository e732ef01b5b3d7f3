"""Two dumps of what should be the same database: every table file and every definition, and what differs, by name.

The archive is compared, not the catalog (decision 0002): what pg_dump tells, it can bring back. Inherited columns are
the one thing that every copy has in another order than its source, when the parent got a column after its child was
made: their values are compared column by name, their definitions as sets (decision 0019). Where a definition differs in
what PostgreSQL may write otherwise once it has read it, that is to be tried: see reworded.py and read_again.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from tabsync.copies.dumps.table_file import columns_of, same_rows
from tabsync.copies.proofs.reworded import in_other_words, same_object
from tabsync.copies.restores.different import Difference
from tabsync.postgres.catalog import Relation
from tabsync.postgres.toc import Entry

_TABLES = ("TABLE", "FOREIGN TABLE")
_BY_POSITION = ("STATISTICS", "PUBLICATION TABLE", "TABLE DATA")
"""What lists columns in the order in which the table has them."""

_ABOUT = ("ACL", "COMMENT", "SECURITY LABEL")
"""What is about another entry's object, or about one that no dump makes: PostgreSQL's own, an extension's."""

_GRANT = re.compile(r"(?:GRANT|REVOKE) (.*) (?:TO|FROM) (.*);")
_BETWEEN = re.compile(r"[\s,()]+")

Described: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump's directory, its entries, and the digest of each table's file."""

    directory: Path
    entries: Sequence[Entry]
    digests: Mapping[Relation, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs, and what is no difference or may be none.

    moved: tables whose columns are in another order and whose values don't differ; reworded: definitions of the second
    dump that may be what PostgreSQL makes of those of the first.
    """

    differences: tuple[Difference, ...]
    moved: tuple[Relation, ...]
    reworded: tuple[Entry, ...]


def compare(first: Dump, second: Dump, skipped: set[int], not_comparable: Collection[str]) -> Compared:
    """Compare a dump with the one of its copy. skipped: entries that were not restored; not_comparable: kinds that
    differ for another reason, which is told elsewhere."""
    excused = {Relation(one.schema, one.name) for one in first.entries if one.dump_id in skipped and one.has_rows}
    rows, moved = _tables(first, second, excused)
    named = {Relation(one.schema, one.name) for one in rows} | excused
    definitions, reworded = _definitions(first.entries, second.entries, skipped, not_comparable)
    definitions = [
        one for one in definitions if one.kind != "table data" or Relation(one.schema, one.name) not in named
    ]
    return Compared((*rows, *definitions), tuple(moved), tuple(reworded))


def _tables(first: Dump, second: Dump, excused: set[Relation]) -> tuple[list[Difference], list[Relation]]:
    before, after = _files(first), _files(second)
    different, moved = [], []
    for one in sorted((before.keys() | after.keys()) - excused, key=str):
        if one not in before or one not in after:
            different.append(Difference("rows", one.schema, one.name))
        elif columns_of(before[one].copy) != columns_of(after[one].copy):
            left = (first.directory, before[one].file, columns_of(before[one].copy))
            right = (second.directory, after[one].file, columns_of(after[one].copy))
            if same_rows(left, right):
                moved.append(one)
            else:
                different.append(Difference("rows", one.schema, one.name))
        elif first.digests.get(one) != second.digests.get(one):
            different.append(Difference("rows", one.schema, one.name))
    return different, moved


def _files(dump: Dump) -> dict[Relation, Entry]:
    return {Relation(one.schema, one.name): one for one in dump.entries if one.has_rows}


def _definitions(
    first: Sequence[Entry], second: Sequence[Entry], skipped: set[int], not_comparable: Collection[str]
) -> tuple[list[Difference], list[Entry]]:
    first, second = _without_strange_owners(first), _without_strange_owners(second)
    before = _described((one for one in first if one.dump_id not in skipped), not_comparable)
    after = _described(second, not_comparable)
    gone, come = before - after, after - before
    if not gone and not come:
        return [], []
    inheriting = {one.dump_id for one in first if _inherits(one)}
    entries = {_key(one): one for one in first if one.dump_id not in skipped}
    others = {_key(one): one for one in second}
    waiting = {_unordered(others[key]) for key in come if key in others}
    excused = set()
    for key in gone:
        entry = entries[key]
        at_home = inheriting & {entry.dump_id, *entry.dependencies}
        if at_home and entry.kind in (*_TABLES, *_BY_POSITION) and _unordered(entry) in waiting:
            excused.add(_unordered(entry))
    old, new = ([one[key] for key in keys] for one, keys in ((entries, gone), (others, come)))
    old, new = ([one for one in some if _unordered(one) not in excused] for some in (old, new))
    reworded = _reworded(old, new)
    told = {same_object(one) for one in reworded}
    names = {same_object(one) for one in (*old, *new)} - told
    return [Difference(kind.lower(), schema, name) for kind, schema, name in sorted(names)], reworded


def _reworded(old: Sequence[Entry], new: Sequence[Entry]) -> list[Entry]:
    """Of entries that have changed, those that may only be written otherwise: one of each object, before and after."""
    counts = Counter(map(same_object, (*old, *new)))
    before = {same_object(one): one for one in old if counts[same_object(one)] == 2}
    pairs = [(before[same_object(one)], one) for one in new if same_object(one) in before]
    return [after for first, after in pairs if in_other_words(first, after)]


def _without_strange_owners(entries: Sequence[Entry]) -> list[Entry]:
    """The entries; those about objects that no dump makes don't say whose these are, since no dump carries that.

    Of another owner, rights that everybody has anyway are taken and given again.
    """
    there = {one.dump_id for one in entries}
    return [
        replace(one, owner="", definition=_once(one.definition) if one.kind == "ACL" else one.definition)
        if one.kind in _ABOUT and there.isdisjoint(one.dependencies) and not one.name.startswith("DATABASE ")
        else one
        for one in entries
    ]


def _once(grants: str) -> str:
    """A text of grants without rights that are taken from somebody and given again."""
    lines = grants.splitlines()
    rights = {
        word: {match.groups() for one in lines if one.startswith(word) and (match := _GRANT.fullmatch(one))}
        for word in ("GRANT", "REVOKE")
    }
    both = rights["GRANT"] & rights["REVOKE"]
    return "\n".join(one for one in lines if not ((match := _GRANT.fullmatch(one)) and match.groups() in both))


def _described(entries: Iterable[Entry], not_comparable: Collection[str]) -> Counter[Described]:
    return Counter(_key(one) for one in entries if one.kind not in not_comparable)


def _key(one: Entry) -> Described:
    return (one.kind, one.schema, one.name, one.owner, _normal(one), one.copy, one.tablespace, one.access_method)


def _normal(entry: Entry) -> str:
    # Grants come back in another order when they were given in another one; their set is what counts.
    if entry.kind in ("ACL", "DEFAULT ACL"):
        return "\n".join(sorted(entry.definition.splitlines()))
    # The list of large objects is named after the dump's own numbering.
    return "" if entry.kind == "BLOBS" else entry.definition


def _inherits(entry: Entry) -> bool:
    return entry.kind in _TABLES and "\nINHERITS (" in entry.definition


def _unordered(entry: Entry) -> Described:
    """An entry without the order of its columns: a table's lines, or the words of what lists columns."""
    if entry.kind in _TABLES:
        parts = sorted(line.strip().removesuffix(",") for line in entry.definition.splitlines())
    elif entry.kind in _BY_POSITION:
        parts = sorted(_BETWEEN.split(entry.definition + entry.copy))
    else:
        parts = [_normal(entry), entry.copy]
    return (entry.kind, entry.schema, entry.name, entry.owner, *parts, entry.tablespace, entry.access_method)
