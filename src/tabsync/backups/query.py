"""tabsync backup query: one statement that reads, answered by a warm copy, or by the tables of a backup that it needs.

The statement runs as a role that may only read, in a read-only transaction, within a time, on a server of our own; it
never reaches the database. The answer goes into a directory that only we can read, and never into the ledger.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import sqlglot
from psycopg import sql
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tabsync.copies.choose import full_backup
from tabsync.copies.partial import DATABASE, close_step, copy_steps, reader
from tabsync.copies.row_text import BATCH, Row, ask, read_lines
from tabsync.copies.source import source_of
from tabsync.copies.warm import start_step, stop_step, warm_copy
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Listener, run
from tabsync.kernel.step import Facts, Step, call
from tabsync.postgres.catalog import Relation

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_ANSWER = "answer.jsonl"
_CURSOR = sql.SQL("declare tabsync_answer no scroll cursor for ")
_FETCH = sql.SQL("fetch {} from tabsync_answer")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave. source: in words; at: as of when, ISO; more: there were more rows than asked for."""

    source: str
    at: str
    columns: tuple[str, ...]
    rows: Iterator[Row]
    count: int
    more: bool
    seconds: float


def plan_query(workspace: Workspace, which: str, statement: str, *, timeout: float, limit: int) -> tuple[Plan, Facts]:
    """Plan to answer a statement; gives the plan, and what it is answered from.

    which: "warm", "latest" or a backup's id; timeout: seconds; limit: rows to give at most.
    Raises BadUsage when there is no such copy or backup, or the statement reads no table of it. Nothing is changed.
    """
    statement = statement.strip().rstrip(";")
    scratch = f"query-{compact(now())}-{secrets.token_hex(2)}"
    copy = warm_copy(workspace) if which == "warm" else None
    if which == "warm" and copy is None:
        raise BadUsage("there is no warm copy", "make one: tabsync drill --keep-warm; or name a backup")
    backup = copy.backup if copy else which
    if which == "latest":
        backup = full_backup(workspace, which).id
    copy = copy or warm_copy(workspace, backup)
    if copy is not None:
        place, database = f"warm/{copy.backup}", copy.database
        first, last = [start_step(copy)], stop_step(copy)
        told = {"source": f"the warm copy of {copy.backup}", "at": copy.at}
    else:
        source = source_of(workspace.store().manifest(backup))
        place, database = f"scratch/{scratch}", DATABASE
        first, last = copy_steps(workspace, source, tables_of(statement), scratch), close_step(scratch)
        told = {"source": str(source), "at": source.at}
    asking = Step(
        "query",
        "Run the statement",
        call(query, place=place, database=database, scratch=scratch, statement=statement, timeout=timeout, limit=limit),
        statement,
    )
    plan = Plan("backup query", f"Query {told['source']}", (*first, asking, last))
    return plan, told | {"scratch": scratch}


@contextmanager
def answered(
    workspace: Workspace,
    which: str,
    statement: str,
    *,
    timeout: float = 60,
    limit: int = 1_000,
    listener: Listener | None = None,
) -> Iterator[Answer]:
    """Run a query; its answer is there inside the block, and gone after it. Raises what stopped it."""
    plan, told = plan_query(workspace, which, statement, timeout=timeout, limit=limit)
    try:
        outcome = run(plan, workspace, workspace.journal(), listener)
        outcome.raise_if_failed()
        facts = outcome.results["query"]
        rows = (tuple(row) for row in read_lines(workspace.scratch(told["scratch"]) / _ANSWER))
        seconds = sum(outcome.seconds.values())
        columns = tuple(facts["columns"])
        yield Answer(told["source"], told["at"], columns, rows, facts["rows"], facts["more"], seconds)
    finally:
        workspace.delete(workspace.scratch(told["scratch"]))


def tables_of(statement: str) -> list[Relation]:
    """The tables that a statement names. Raises BadUsage when it can't be understood, or names none."""
    try:
        found = sqlglot.parse_one(statement, read="postgres")
    except SqlglotError:
        raise BadUsage(
            "the tables of the statement can't be determined",
            "give one SELECT; a warm copy (tabsync drill --keep-warm) takes any that PostgreSQL accepts",
        ) from None
    common = {one.alias_or_name for one in found.find_all(exp.CTE)}
    named = [one for one in found.find_all(exp.Table) if one.name and (one.db or one.name not in common)]
    tables = [
        Relation(_folded(one.args.get("db")) or "public", _folded(one.this))
        for one in named
        if one.db not in ("pg_catalog", "information_schema")
    ]
    if not tables:
        raise BadUsage(
            "the statement reads no table that is in the backup",
            "name a table as schema.table, or one in the schema public",
        )
    return list(dict.fromkeys(tables))


def query(
    context: Context, *, place: str, database: str, scratch: str, statement: str, timeout: float, limit: int
) -> Facts:
    """Run the statement and keep its answer in the scratch directory.

    Raises BadUsage when PostgreSQL doesn't understand it, Refused when it takes too long or does more than read.
    """
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    count, path = 0, directory / _ANSWER
    path.touch(mode=0o600)
    with reader(workspace.servers() / place, database) as copy, path.open("w", encoding="ascii") as file:
        copy.execute("select set_config('statement_timeout', %s, false)", [str(int(timeout * 1000))])
        copy.execute("begin isolation level repeatable read read only")
        try:
            copy.execute(_CURSOR + sql.SQL(statement), prepare=True)
            columns = [one.name for one in copy.execute(_FETCH.format(sql.Literal(0))).description or ()]
            while rows := ask(copy, _FETCH.format(sql.Literal(min(BATCH, limit + 1 - count)))):
                file.writelines(json.dumps(row) + "\n" for row in rows[: limit - count])
                count += len(rows)
                if count > limit:
                    break
        except psycopg.errors.QueryCanceled:
            raise Refused(
                f"the statement took longer than {timeout:.0f} s", "allow more time: --timeout SECONDS"
            ) from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise Refused(f"the statement may only read: {error.diag.message_primary}", "give one SELECT") from None
        except psycopg.Error as error:
            fact = f"the statement failed on the copy: {error.diag.message_primary or error}".splitlines()[0]
            raise BadUsage(fact, "give one SELECT, without a semicolon") from None
    return {"columns": columns, "rows": min(count, limit), "more": count > limit}


def _folded(name: exp.Expression | None) -> str:
    """A name as PostgreSQL reads it: lower case, unless it is quoted."""
    if not isinstance(name, exp.Identifier):
        return str(name.name) if name is not None else ""
    return str(name.this) if name.quoted else str(name.this).lower()


def asked_json(answer: Answer) -> Facts:
    """An answer as JSON; values are PostgreSQL's text."""
    facts = {"source": answer.source, "as_of": answer.at, "columns": list(answer.columns)}
    return facts | {"rows": [list(row) for row in answer.rows], "more": answer.more, "seconds": answer.seconds}
