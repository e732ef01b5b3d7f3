"""A restore in passes: definitions and rows, the rows that failed once more, then all that is checked against rows.

A check constraint may call a function that reads another table, an index may be built on one, a materialized view may
call one: pg_dump sees no dependency in a function's body. So whether such a dump restores in one go depends on which
parallel worker is first. Here indexes, constraints, triggers and views are made when all rows are there, and rows that
failed are tried again after the others until no more of them come.
https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-CHECK-CONSTRAINTS
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from tabsync.copies.restores.extension_rows import SQL, make_way, of_extensions
from tabsync.copies.restores.pg_restore import MIXED_UP, as_dbname, run_pg_restore, write_list
from tabsync.copies.restores.verify_restored import not_there
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.installation import Installation
from tabsync.postgres.toc import Entry, dependents

PASSES = (
    "definitions and rows first, then a second try of failed rows, then indexes, constraints, triggers and privileges"
)
"""For previews."""

_FIRST = ("pre-data", "data")
_KEYS = ("CONSTRAINT", "FK CONSTRAINT")
"""Made when all rows are there, they fail for the rows' sake, and would again after as long a time."""

_SET_AGAIN = ("COMMENT", "ACL", "DEFAULT ACL", "SECURITY LABEL")
"""What may be set as often as one likes."""

_Report = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Restoring:
    """What pg_restore is driven with. dump: the dump, of a form; claim: the claimed directory; conninfo: the server.

    database: to restore into; options: but for --dbname and --use-list; report: gets the objects that are done;
    settings: of its sessions.
    """

    clients: Installation
    dump: Path
    form: str
    claim: Path
    conninfo: str
    database: str
    options: tuple[str, ...]
    report: _Report
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, entries: Sequence[Entry], *, serial: bool = False) -> list[Facts]:
        """Run pg_restore on some entries, in their order where it is serial, and list what failed."""
        listed = write_list(self.claim / "restore.list", [entry.dump_id for entry in entries])
        options = [one for one in self.options if not (serial and one.startswith("--jobs="))]
        options += [listed, f"--dbname={as_dbname(self.database)}"]
        return run_pg_restore(
            self.clients,
            self.dump,
            entries,
            options,
            conninfo=self.conninfo,
            report=self.report,
            form=self.form,
            claim=self.claim,
            settings=self.settings,
        )


def in_passes(
    restoring: Restoring,
    entries: Sequence[Entry],
    connect: Callable[[], Connection],
    *,
    go_on: bool = False,
) -> list[Facts]:
    """Restore entries into a new database, and list what failed for good.

    connect: opens a session in that database; go_on: also when something failed, which takes long and is of use only
    where the rest is wanted.
    """
    first = [entry for entry in entries if entry.section in _FIRST]
    last = [entry for entry in entries if entry.section not in _FIRST]
    failures = restoring.run(first)
    if failures:
        failures = _rows_again(restoring, first, failures, connect)
    failures = _rows_of_extensions(restoring, first, failures, connect)
    if failures and not go_on:
        return failures
    for part, serial in _stages(last):
        failures += _again(restoring, part, restoring.run(part, serial=serial), connect)
    return failures


def _stages(last: Sequence[Entry]) -> list[tuple[list[Entry], bool]]:
    """The last pass in stages, each with whether it is one after the other.

    Indexes of partitions are attached one by one: two workers at once don't see each other's, and the index of the
    partitioned table may not learn that it has them all. Event triggers come last: they would act on what comes then.
    """
    acting = dependents(last, {entry.dump_id for entry in last if entry.kind == "EVENT TRIGGER"})
    attaching = {entry.dump_id for entry in last if entry.kind == "INDEX ATTACH"}
    stage = dict.fromkeys(dependents(last, attaching), 2) | dict.fromkeys(attaching, 1) | dict.fromkeys(acting, 3)
    parts = [[entry for entry in last if stage.get(entry.dump_id, 0) == number] for number in range(4)]
    return [(part, number in (1, 3)) for number, part in enumerate(parts) if part]


def _rows_of_extensions(
    restoring: Restoring, entries: Sequence[Entry], failures: list[Facts], connect: Callable[[], Connection]
) -> list[Facts]:
    """Restore rows of extensions' own tables again where CREATE EXTENSION had made some of them."""
    if restoring.form != "directory" or not of_extensions(entries):
        return failures
    with connect() as connection:
        again = make_way(connection, restoring.dump, entries)
    ids = {entry.dump_id for entry in again}
    left = [one for one in failures if one["dump_id"] not in ids]
    return left + (restoring.run(again, serial=True) if again else [])


def as_one(restoring: Restoring, entries: Sequence[Entry]) -> list[Facts]:
    """Restore entries in one transaction; rows that failed go behind the others, and all of it is tried again.

    Each attempt that fails leaves nothing. It ends when rows fail again that have nothing new before them.
    """
    order = list(entries)
    before: dict[int, set[int]] = {}  # what stood before rows when they failed
    while failures := restoring.run(order):
        at = next((number for number, one in enumerate(order) if one.dump_id == failures[0]["dump_id"]), None)
        # Of a tar file, pg_restore reads the rows in the file's own order only.
        if at is None or not _can_wait(order[at]) or restoring.form == "tar":
            return failures
        failed, there = order[at].dump_id, {one.dump_id for one in order[:at]}
        if failed in before and there <= before[failed]:
            return failures
        before[failed] = before.get(failed, set()) | there
        last = max(number for number, one in enumerate(order) if one.section == order[at].section)
        order.insert(last, order.pop(at))
    return []


def _can_wait(entry: Entry) -> bool:
    return entry.section == "data" or entry.kind == "MATERIALIZED VIEW DATA"


def _rows_again(
    restoring: Restoring, entries: Sequence[Entry], failures: list[Facts], connect: Callable[[], Connection]
) -> list[Facts]:
    """Try rows that failed again, one after the other, as long as some of them come."""
    rows = {entry.dump_id: entry for entry in entries if entry.section == "data"}
    mixed_up = [one for one in failures if one["what"] == MIXED_UP]
    definitions = [one for one in failures if one["dump_id"] not in rows and one not in mixed_up]
    # What lacks its own table fails again with another message, which says less.
    lost = dependents(entries, {one["dump_id"] for one in definitions if one["dump_id"] is not None})
    hopeless = [one for one in failures if one["dump_id"] in rows and one["dump_id"] in lost]
    failed = {one["dump_id"] for one in failures} & set(rows) - lost
    if failed or mixed_up:
        with connect() as connection:
            failed |= _suspects(connection, [one for one in rows.values() if one.dump_id not in lost])
    if mixed_up:  # large objects and sequences, which may be set as often as one likes
        failed |= {one.dump_id for one in rows.values() if not one.has_rows} - lost
    # Only workers mix their messages up, and they do rows here: what isn't there now is tried again, one by one, or is
    # of an extension's table, whose rows are counted afterwards.
    if not failed and not of_extensions(entries):
        definitions += mixed_up
    left = [one for one in failures if one["dump_id"] in failed]
    while failed:
        with connect() as connection:
            _empty(connection, [rows[one] for one in failed])
        left = restoring.run([entry for entry in entries if entry.dump_id in failed], serial=True)
        again = {one["dump_id"] for one in left if one["dump_id"] is not None}
        if len(again) >= len(failed) or (left and not again):
            break
        failed = again
    return definitions + hopeless + left


def _again(
    restoring: Restoring, entries: Sequence[Entry], failures: list[Facts], connect: Callable[[], Connection]
) -> list[Facts]:
    """Try what failed of the last pass again, as long as some of it comes: a view may read another in a function."""
    kinds = {entry.dump_id: entry.kind for entry in entries}
    if any(one["what"] == MIXED_UP for one in failures):
        failures = _tried_again(restoring, entries, failures, connect)
    final = [one for one in failures if kinds.get(one["dump_id"], "CONSTRAINT") in _KEYS]
    left = [one for one in failures if one not in final]
    while left:
        failed = {one["dump_id"] for one in left}
        again = restoring.run([entry for entry in entries if entry.dump_id in failed], serial=True)
        if len({one["dump_id"] for one in again}) >= len(failed):
            break  # what is told is the first attempt: of an object that is half there, the second says that it exists
        left = again
    return final + left


def _tried_again(
    restoring: Restoring, entries: Sequence[Entry], failures: list[Facts], connect: Callable[[], Connection]
) -> list[Facts]:
    """Who failed of the last pass, where messages were mixed up: what isn't there, or isn't filled, is tried once more.

    So is what may be set as often as one likes, a comment or a privilege, since nothing shows that it is missing. If
    all is there and works, it stays a failure of an entry that is unknown.
    """
    mixed_up = [one for one in failures if one["what"] == MIXED_UP]
    known = [one for one in failures if one not in mixed_up]
    with connect() as connection:
        missing = {(one.kind, one.schema, one.name) for one in not_there(connection, entries)}
        missing |= {("materialized view data", *row) for row in connection.execute(SQL["unfilled"]).fetchall()}
    ids = {one["dump_id"] for one in known}
    absent = [one for one in entries if (one.kind.lower(), one.schema, one.name) in missing and one.dump_id not in ids]
    set_again = [one for one in entries if one.kind in _SET_AGAIN and one.dump_id not in ids]
    again = restoring.run([*absent, *set_again], serial=True) if absent or set_again else []
    return known + (again if absent or again else mixed_up)


def _suspects(connection: Connection, entries: Sequence[Entry]) -> set[int]:
    """The tables that are empty: when workers fail together, their messages are mixed up. One that has no rows in the
    dump either is restored once more, which costs nothing."""
    found = set()
    for entry in entries:
        query = sql.SQL("select exists (select from only {})").format(Relation(entry.schema, entry.name).identifier())
        with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            if entry.has_rows and connection.execute(query).fetchone() == (False,):
                found.add(entry.dump_id)
    return found


def _empty(connection: Connection, entries: Sequence[Entry]) -> None:
    # COPY is all or nothing. A dump with INSERT statements leaves those that worked.
    for entry in entries:
        if entry.kind == "TABLE DATA" and not entry.copy:
            connection.execute(sql.SQL("truncate only {}").format(Relation(entry.schema, entry.name).identifier()))
