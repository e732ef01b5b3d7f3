"""The comparison behind `restore rows`: which rows of a copy the database lacks, has otherwise, or has the same.

The rows that a condition finds in the copy are looked up in the database by their primary key. Of those that are gone,
the rows that a cascade took with them are found by the foreign keys that the database has, level by level. What differs
is written, as text, into a file for each table in a directory that only we can read; the digest over these files is
what the writing step is bound to. The facts that go to the ledger hold numbers, never values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.backups.restore.rows.comparison import (
    CHANGED,
    DIFF,
    MISSING,
    PARENTS,
    SAME,
    UNLINKED,
    Comparison,
    Member,
    by_key,
    by_whole,
    digest_of_diff,
)
from tabsync.backups.restore.rows.parents import missing_parents
from tabsync.backups.restore.rows.roles import Guarded, guarded_of
from tabsync.backups.restore.rows.shape import (
    common_columns,
    links_of,
    make_uniform,
    parents_first,
    shape_of,
    wanted,
)
from tabsync.copies.partial import CONDITION_TIMEOUT, reader
from tabsync.copies.row_text import Row, columns, matches, spelled, stream, tell, whole
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, prove_target
from tabsync.postgres.connect import Connection, allowed
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Context

LIMITS = Limits(lock_timeout=2_000, statement_timeout=120_000, idle_in_transaction_timeout=0)

_PICKED = sql.SQL(
    "create temporary table {} (part oid, place tid, gone boolean not null, cut int[] not null, state text,"
    " primary key (part, place))"
)
_PICK = sql.SQL("insert into {picked} select {name}.tableoid, {name}.ctid, true, '{{}}' from {table} as {name} where (")
_PICK_CHILDREN = sql.SQL(
    "insert into {picked} as old select c.tableoid, c.ctid, {gone}, {cut} from {child} as c"
    " where exists (select from {parent} as p join {parents} as g on g.part = p.tableoid and g.place = p.ctid"
    " where g.state = 'missing' and {pairs}) on conflict (part, place) do "
)
_LEAVE = sql.SQL("nothing")
_ADD_CUT = sql.SQL("update set cut = old.cut || excluded.cut where not old.gone")
_READ = sql.SQL(
    "select k.part::text, k.place::text, array_to_string(k.cut, ','), {nth}, {whole}, {columns}"
    " from {picked} as k join {table} as t on t.tableoid = k.part and t.ctid = k.place"
    " where k.state is null and k.gone = {gone}"
)
_NTH = sql.SQL("row_number() over (partition by {} order by k.part, k.place)")
_MARK = sql.SQL(
    "update {} as p set state = u.state from unnest($1::oid[], $2::tid[], $3::text[]) as u(part, place, state)"
    " where p.part = u.part and p.place = u.place"
)


def compare(
    context: Context,
    *,
    place: str,
    database: str,
    scratch: str,
    target: Facts,
    table: Facts,
    where: str,
    with_dependents: bool,
) -> Facts:
    """Compare, and keep what differs in the scratch directory. The database is only read.

    place: the copy's server, below servers/; database: its database. Raises BadUsage when the condition doesn't work
    or finds nothing, Refused when rows can't come back for the shape of the tables.
    """
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    diff = directory / DIFF
    diff.mkdir(mode=0o700)
    root = Relation(**table)
    with reader(workspace.servers() / place, database) as copy, workspace.connect("restore", LIMITS) as live:
        prove_target(live, target)
        make_uniform(copy, local=False)
        live.execute("begin isolation level repeatable read read only")
        make_uniform(live, local=True)
        links = links_of(live)
        tables = wanted(live, links, root, with_dependents=with_dependents)
        members = _members(copy, live, tables, diff)
        guard(members, guarded_of(workspace))
        work = Comparison(copy, live, members, links, with_dependents)
        make_picked(work)
        copy.execute("begin isolation level repeatable read read only")
        _pick(work, work.members[root], where)
        facts = found_by(work, root, diff)
    if not sum(work.members[root].counts.values()):
        raise BadUsage(
            f"no row of {root} in the copy matches the condition", "try a wider condition; --dry-run changes nothing"
        )
    return facts


def make_picked(work: Comparison) -> None:
    """Make the temporary tables of the rows that are found in the copy."""
    for member in work.members.values():
        work.copy.execute(_PICKED.format(member.picked))


def guard(members: dict[Relation, Member], guarded: Guarded | None) -> None:
    """Have the roles of users kept, where they are among the tables."""
    if guarded is not None and guarded.relation in members:
        members[guarded.relation].guarded = guarded


def pick_all(work: Comparison, root: Relation) -> None:
    """Find all rows that the copy has of a table: it holds none but those that were chosen."""
    member = work.members[root]
    start = _PICK.format(picked=member.picked, name=sql.Identifier(root.name), table=member.there.source())
    tell(work.copy, start + sql.SQL("true)"))


def found_by(work: Comparison, root: Relation, diff: Path) -> Facts:
    """Look up the rows that were found, and those that went with them; gives what differs, parents first."""
    with allowed("look the rows up", "use the tables' owner, or a user with BYPASSRLS"):
        _follow(work, root)
        parents = missing_parents(work, diff / PARENTS)
    order = [work.members[one] for one in parents_first(list(work.members), work.links)]
    digest = digest_of_diff(diff, [one.path.name for one in order])
    return {"tables": [one.to_json() for one in order], "parents": parents, "digest": digest}


def _members(copy: Connection, live: Connection, tables: Sequence[Relation], diff: Path) -> dict[Relation, Member]:
    found: dict[Relation, Member] = {}
    for relation in tables:
        here, there = shape_of(live, relation), shape_of(copy, relation)
        if here is None:
            hint = f"restore the table itself: tabsync restore tables {relation}"
            raise BadUsage(f"there is no table {relation} in the database", hint)
        if there is None and relation != tables[0]:
            continue  # it came after the backup, which has none of its rows
        if there is None:
            raise BadUsage(f"there is no table {relation} in the copy", "name another backup: tabsync backup list")
        names, notes = common_columns(here, there)
        path = diff / f"{len(found)}.jsonl"
        path.touch(mode=0o600)
        found[relation] = Member(len(found), here, there, names, notes, path)
    return found


def _pick(work: Comparison, member: Member, where: str) -> None:
    """Find the rows of the condition. It is a person's SQL: one statement, read-only, without rights, bounded."""
    relation = member.relation
    start = _PICK.format(picked=member.picked, name=sql.Identifier(relation.name), table=member.there.source())
    query = start + spelled(where) + sql.SQL("\n)")
    try:
        work.copy.execute(sql.SQL("set local search_path = {}, public").format(sql.Identifier(relation.schema)))
        work.copy.execute(query, prepare=True)  # the extended protocol takes one statement and no more
        work.copy.execute("set local search_path = ''")
    except psycopg.errors.QueryCanceled:
        fact = f"the condition took longer than {CONDITION_TIMEOUT // 1000} s"
        raise Refused(fact, "use a simpler condition, best on the primary key") from None
    except psycopg.Error as error:
        fact = f"the condition failed: {error.diag.message_primary or error}".splitlines()[0]
        named = ", ".join(one.name for one in member.there.columns)
        raise BadUsage(fact, f"columns of {relation}: {named}") from None


def _follow(work: Comparison, root: Relation) -> None:
    """Look the found rows up, and from those that are gone go on to the rows that went with them."""
    waiting = [root]
    while waiting:
        parent = work.members[waiting.pop()]
        if not _look_up(work, parent) or not work.with_dependents:
            continue
        for number, link in enumerate(work.links):
            takes_along = link.referenced == parent.relation and link.on_delete == "c" and link.table in work.members
            if takes_along and _pick_children(work, number):
                waiting.append(link.table)
    for number, link in enumerate(work.links if work.with_dependents else ()):
        if link.on_delete == "n" and link.table in work.members and link.referenced in work.members:
            _pick_children(work, number)
    for member in work.members.values() if work.with_dependents else ():
        _look_up_cut(work, member)  # once all are picked: a row may have lost several references


def _pick_children(work: Comparison, number: int) -> int:
    """Find the rows whose foreign key points at rows that are gone: gone with them, or cut off from them."""
    link = work.links[number]
    parent, child = work.members[link.referenced], work.members[link.table]
    cut = link.on_delete == "n"
    start = _PICK_CHILDREN.format(
        picked=child.picked,
        gone=sql.Literal(not cut),
        cut=sql.Literal([number] if cut else []) + sql.SQL("::int[]"),
        child=child.there.source(),
        parent=parent.there.source(),
        parents=parent.picked,
        pairs=matches("p", link.referenced_columns, "c", link.columns, link.equal),
    )
    return tell(work.copy, start + (_ADD_CUT if cut else _LEAVE))


def _look_up(work: Comparison, member: Member) -> int:
    """Look up the rows that were found and not yet looked up; gives how many of them are missing."""
    missing = 0
    for rows in stream(work.copy, _reading(member, gone=True)):
        states = []
        found = by_key(work.live, member, rows) if member.here.key else by_whole(work.live, member, rows)
        with member.path.open("a", encoding="ascii") as file:
            for row, old in zip(rows, found, strict=True):
                new = member.to_write(row[5:], old)
                state = MISSING if old is None else SAME if old == new else CHANGED
                states.append(state)
                if state == CHANGED and old is not None:
                    member.stuck.update(name for name, at in member.always() if new[at] != old[at])
                if state != SAME:
                    file.write(json.dumps([state, new, old]) + "\n")
        member.counts.update(states)
        missing += states.count(MISSING)
        _mark(work.copy, member, rows, states)
    return missing


def _look_up_cut(work: Comparison, member: Member) -> None:
    """Look up the rows that lost only their reference; those that have it NULL now can be linked again."""
    if not member.here.key:
        if count := sum(map(len, stream(work.copy, _reading(member, gone=False)))):
            member.notes.append(f"{count} rows reference missing ones and have no primary key: they are not changed")
        return
    for rows in stream(work.copy, _reading(member, gone=False)):
        found = by_key(work.live, member, rows)
        with member.path.open("a", encoding="ascii") as file:
            for row, old in zip(rows, found, strict=True):
                new = member.to_write(_linked(work, member, row, old), old) if old is not None else None
                if new is not None and new != old:
                    member.counts[UNLINKED] += 1
                    file.write(json.dumps([UNLINKED, new, old]) + "\n")
        _mark(work.copy, member, rows, [UNLINKED] * len(rows))


def _linked(work: Comparison, member: Member, row: Row, old: Row) -> Row:
    """The row as it is now, with the references that it had in the copy where it has none now."""
    new = list(old)
    for number in map(int, (row[2] or "").split(",")):
        link = work.links[number]
        at = [member.columns.index(name) for name in link.nulled if name in member.columns]
        rest = [member.columns.index(name) for name in link.columns if name in {*member.columns} - {*link.nulled}]
        if all(old[one] is None for one in at) and all(old[one] == row[5 + one] for one in rest):
            for one in at:
                new[one] = row[5 + one]
    return tuple(new)


def _reading(member: Member, *, gone: bool) -> sql.Composed:
    same = whole(member.columns, "t")
    return _READ.format(
        nth=sql.SQL("1") if member.here.key else _NTH.format(same),
        whole=sql.SQL("null") if member.here.key else same,
        columns=columns(member.columns, "t"),
        picked=member.picked,
        table=member.there.source(),
        gone=sql.Literal(gone),
    )


def _mark(copy: Connection, member: Member, rows: Sequence[Row], states: Sequence[str]) -> None:
    tell(copy, _MARK.format(member.picked), [row[0] for row in rows], [row[1] for row in rows], list(states))
