"""tabsync restore diff: what is only in one of two databases, and what is in both and different.

Both are only read, each in one transaction with one snapshot, at the same time. Nothing that an owner wrote is run:
definitions come from the catalog, rows from tables. Counts and names go to the ledger; definitions and values into a
file that only we can read, which is deleted when they were shown.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tabsync.backups.restore.diff import objects, tables
from tabsync.backups.restore.diff.rows import compare_rows
from tabsync.backups.restore.diff.samples import samples_of
from tabsync.backups.restore.diff.sides import SQL, OutOfTime, Side, opened
from tabsync.backups.restore.diff.tables import Table
from tabsync.backups.restore.diff.work import Compared, Unknown, Work, at_once
from tabsync.backups.restore.rows.roles import secret_columns
from tabsync.kernel.errors import BadUsage, Refused, words_of
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, relation_named, server_major

if TYPE_CHECKING:
    from tabsync.workspace import Context

DETAILS = "diff.json"
_MB = 1 << 20


def compare_databases(
    context: Context,
    *,
    new: Facts,
    old: Facts,
    scratch: str,
    only: Sequence[str],
    without: Sequence[str],
    rows: bool,
    samples: int,
    timeout: float,
) -> Facts:
    """Compare two databases. new, old: who they are; only, without: tables by name; samples: rows of each kind to show;
    timeout: seconds for all of it, after which what is left is unknown.

    Raises BadUsage when a named table is in neither, and what opening the two raises. Both are only read.
    """
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    begun = time.monotonic()
    secret = secret_columns(workspace)
    with opened(workspace, {"new": new, "old": old}, timeout) as sides:
        comparison = _Comparison(context, sides, directory, samples, secret)
        found = comparison.objects() if not only else []
        told = comparison.tables(
            [relation_named(one) for one in only], [relation_named(one) for one in without], rows=rows
        )
    details = told | {"objects": [one.to_json(definitions=True) for one in found]}
    _write(directory / DETAILS, details)
    kept = [{key: value for key, value in one.items() if key != "samples"} for one in told["tables"]]
    return told | {
        "tables": [one for one in kept if one["state"] != "same"],
        "objects": [one.to_json(definitions=False) for one in found],
        "compared_objects": not only,
        "rows_compared": rows,
        "same_tables": sum(one["state"] == "same" for one in kept),
        "same_rows": sum(one.get("same", 0) for one in kept),
        "majors": {one.word: server_major(one.identity) for one in sides},
        "as_of": {one.word: one.as_of for one in sides},
        "seconds": time.monotonic() - begun,
    }


class _Comparison:
    """One comparison at work."""

    def __init__(
        self,
        context: Context,
        sides: tuple[Side, Side],
        place: Path,
        samples: int,
        secret: dict[Relation, frozenset[str]],
    ) -> None:
        self._report = context.report
        self._read = {"new": 0, "old": 0}
        self._total = 0.0
        self._secret = secret
        self._work = Work(*sides, samples, place, self._add, self._look)

    def _add(self, side: Side, size: int) -> None:
        self._read[side.word] += size

    def _look(self) -> None:
        done = sum(self._read.values())
        self._report(min(done, self._total) / _MB, self._total / _MB, "MB")

    def objects(self) -> list[objects.Difference]:
        """The objects that differ. Raises Refused when the time was over."""
        try:
            return objects.differences(*at_once(self._work, objects.objects_of))
        except (OutOfTime, psycopg.errors.QueryCanceled):
            raise Refused(
                "the time was over before the objects were compared", "allow more: --timeout SECONDS"
            ) from None

    def tables(self, only: Sequence[Relation], without: Sequence[Relation], *, rows: bool) -> Facts:
        """The rows that differ, by table; the tables that only one has; the sequences."""
        new, old = at_once(self._work, lambda side: tables.tables_of(side.connection))
        if missing := [str(one) for one in (*only, *without) if one not in new and one not in old]:
            raise BadUsage(f"neither database has a table {', '.join(missing)}", "name it as schema.table")
        wanted = tables.heirs(new, only) | tables.heirs(old, only)
        chosen = tables.chosen({**new, **old}, wanted, without) if rows else []
        for side, there in zip(self._work.sides, (new, old), strict=True):
            tables.measured(side.connection, [there[one] for one in chosen if one in there])
        self._total = sum(there[one].bytes for there in (new, old) for one in chosen if one in there)
        told = [self._table(one, new.get(one), old.get(one)) for one in sorted(chosen, key=str)]
        far = [objects.positions(one) for one in self._work.sides] if rows and not only else [{}, {}]
        return {
            "tables": told,
            "left_out": [str(one) for one in without],
            "sequences": objects.moved(*far),
            "large_objects": self._large_objects() if rows and not only else {},
        }

    def _table(self, relation: Relation, new: Table | None, old: Table | None) -> Facts:
        self._look()
        told: Facts = {"table": str(relation), "schema": relation.schema, "name": relation.name}
        if new is None or old is None:
            return told | self._alone(new, old)
        if new.kind == old.kind == "f":
            return told | {"state": "elsewhere", "notes": ["a foreign table: its rows are on another server"]}
        if reason := tables.why_unknown(new, old):
            return told | {"state": "unknown", "reason": reason}
        pair = tables.paired(new, old)
        begun = dict(self._read)
        with self._work.new.aside(), self._work.old.aside():
            done = compare_rows(self._work, pair)
        self._read |= {"new": begun["new"] + new.bytes, "old": begun["old"] + old.bytes}
        return told | _facts(done) | self._samples(done)

    def _samples(self, done: Compared) -> Facts:
        found = done.found
        if not (found.only_new or found.only_old or found.different) or not self._work.samples:
            return {}
        hidden = self._secret.get(done.pair.relation, frozenset())
        try:
            with self._work.new.aside(), self._work.old.aside():
                return {"samples": samples_of(self._work, done, hidden)}
        except (Unknown, OutOfTime, psycopg.Error) as error:
            if any(side.connection.broken for side in self._work.sides):
                raise
            return {"notes": [*done.notes, f"no rows can be shown: {_why(error)}"]}

    def _alone(self, new: Table | None, old: Table | None) -> Facts:
        """A table that only one has, with the number of its rows."""
        which, side = (new, self._work.new) if old is None else (old, self._work.old)
        if which is None:
            raise ValueError("a table is in one of the two")
        if which.kind == "f":
            return {"state": side.word, "notes": ["a foreign table: its rows are on another server"]}
        if not which.may_read or which.rls or not which.filled:
            return {"state": side.word, "notes": ["this user may not read its rows"]}
        try:
            with side.aside():
                side.allow()
                row = side.connection.execute(tables.count(which)).fetchone()
        except (OutOfTime, psycopg.Error) as error:
            if side.connection.broken:
                raise
            return {"state": side.word, "notes": [f"its rows were not counted: {_why(error)}"]}
        return {"state": side.word, f"only_{side.word}": int(row[0]) if row else 0}

    def _large_objects(self) -> Facts:
        found = {}
        for side in self._work.sides:
            row = side.connection.execute(SQL["large_objects"]).fetchone()
            found[side.word] = int(row[0]) if row else 0
        return found if any(found.values()) else {}


def _why(error: Exception) -> str:
    return words_of(error) if isinstance(error, psycopg.Error) else str(error)


def _facts(done: Compared) -> Facts:
    found = done.found
    if done.reason:
        return {"state": "unknown", "reason": done.reason, "notes": done.notes}
    return {
        "state": "same" if done.is_same else "different",
        "key": list(done.pair.key),
        "only_new": found.only_new,
        "only_old": found.only_old,
        "different": found.different,
        "same": done.same,
        **({"columns": done.pair.alone} if done.pair.alone else {}),
        "notes": done.notes,
    }


def _write(path: Path, details: Facts) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(details, file)
