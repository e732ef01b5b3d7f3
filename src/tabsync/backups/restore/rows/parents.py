"""The rows that missing rows point at: those that neither the database has nor come back along with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from psycopg import sql

from tabsync.backups.restore.rows.comparison import MISSING, Comparison, those_there
from tabsync.backups.restore.rows.shape import Link, shape_of
from tabsync.copies.row_text import Row, columns, matches, stream
from tabsync.kernel.errors import NotAllowed
from tabsync.kernel.step import Facts

_TOLD_PARENTS = 5
_FOREIGN = sql.SQL(
    "select distinct {columns} from {picked} as k join {child} as t on t.tableoid = k.part and t.ctid = k.place"
    " where k.state = 'missing' and {given}"
)
_NOT_ALONG = sql.SQL(
    " and not exists (select from {parents} as g join {parent} as p on p.tableoid = g.part and p.ctid = g.place"
    " where g.state = 'missing' and {pairs})"
)


def missing_parents(work: Comparison, path: Path) -> list[Facts]:
    """The rows that missing rows point at, and that neither the database has nor come back with them."""
    told: list[Facts] = []
    with path.open("w", encoding="ascii") as file:
        for link in work.links:
            member = work.members.get(link.table)
            if member is None or not member.counts[MISSING] or not set(link.columns) <= set(member.columns):
                continue
            lacking = [one for rows in stream(work.copy, _foreign(work, link)) for one in _lacking(work, link, rows)]
            if lacking:
                told.append({"table": asdict(link.table), "key": link.name, "referenced": asdict(link.referenced)})
                told[-1] |= {"columns": list(link.referenced_columns), "count": len(lacking)}
                file.writelines(json.dumps([len(told) - 1, one]) + "\n" for one in lacking[:_TOLD_PARENTS])
    return told


def _foreign(work: Comparison, link: Link) -> sql.Composed:
    """What the foreign key of the missing rows points at, without what comes back anyway."""
    member, parent = work.members[link.table], work.members.get(link.referenced)
    given = sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier("t", one)) for one in link.columns)
    if parent is not None:
        pairs = matches("p", link.referenced_columns, "t", link.columns, link.equal)
        given += _NOT_ALONG.format(parents=parent.picked, parent=parent.there.source(), pairs=pairs)
    return _FOREIGN.format(
        columns=columns(link.columns, "t"), picked=member.picked, child=member.there.source(), given=given
    )


def _lacking(work: Comparison, link: Link, rows: Sequence[Row]) -> list[Row]:
    try:
        shape = shape_of(work.live, link.referenced)
    except NotAllowed:
        shape = None
    if shape is None:
        return []  # the foreign key itself will tell
    there = those_there(work.live, shape, link.referenced_columns, link.parent_equal, rows)
    return [row for number, row in enumerate(rows, start=1) if number not in there]
