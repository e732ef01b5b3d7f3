"""Which indexes of partitioned tables are valid: pure, from a dump's table of contents.

The index of a partitioned table is made on that table alone and becomes valid when every partition has one attached to
it. One that lacks some, as CREATE INDEX ON ONLY leaves it, was not valid in the source and isn't in any copy. Other
indexes that are not valid, as a failed CREATE INDEX CONCURRENTLY leaves them, stand in no dump.
https://www.postgresql.org/docs/current/sql-createindex.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tabsync.copies.dumps.table_file import IDENTIFIER, unquoted
from tabsync.postgres.catalog import Relation
from tabsync.postgres.toc import Entry

_QUALIFIED = rf"({IDENTIFIER})\.({IDENTIFIER})"
_ATTACH = re.compile(rf"ALTER INDEX {_QUALIFIED}\s+ATTACH PARTITION {_QUALIFIED};\s*")


def invalid_in_dump(entries: Sequence[Entry]) -> set[Relation]:
    """The indexes of partitioned tables that no restore of these entries makes valid."""
    tables = {entry.dump_id: entry for entry in entries if entry.kind in ("TABLE", "FOREIGN TABLE")}
    partitions: Counter[int] = Counter()
    for entry in entries:
        if entry.kind == "TABLE ATTACH":
            for one in set(entry.dependencies) & tables.keys():
                if (tables[one].schema, tables[one].name) != (entry.schema, entry.name):
                    partitions[one] += 1
    attached = _attached(entries)
    lacking: set[Relation] = set()
    for entry in entries:
        if entry.kind != "INDEX" or " ON ONLY " not in entry.definition:
            continue
        of = next((one for one in entry.dependencies if one in tables), None)
        relation = Relation(entry.schema, entry.name)
        if of is not None and len(attached.get(relation, ())) < partitions[of]:
            lacking.add(relation)
    return lacking | _above(lacking, attached)


def _attached(entries: Sequence[Entry]) -> dict[Relation, list[Relation]]:
    """The indexes attached to each index."""
    found: dict[Relation, list[Relation]] = {}
    for entry in entries:
        match = _ATTACH.fullmatch(entry.definition) if entry.kind == "INDEX ATTACH" else None
        if match:
            parent, child = (Relation(unquoted(match[at]), unquoted(match[at + 1])) for at in (1, 3))
            found.setdefault(parent, []).append(child)
    return found


def _above(lacking: set[Relation], attached: dict[Relation, list[Relation]]) -> set[Relation]:
    """The indexes to which one that isn't valid is attached, directly or not."""
    parents = {child: parent for parent, children in attached.items() for child in children}
    found: set[Relation] = set()
    for one in lacking:
        while (one := parents.get(one, one)) not in found and one in attached and one not in lacking:
            found.add(one)
    return found
