"""The plan of somebody's statement, without running it, and without running anything that the owner wrote.

EXPLAIN runs functions: the planner computes what does not depend on rows, with IMMUTABLE and STABLE functions, in the
rights of whoever asks. SET ROLE is no cage, since such a function can reset it. So a statement is explained only where
all that it could call is known to us, by what it names and by what is stored with the relations that it names. Then
it is done as the session's own role, READ ONLY, in 2 seconds at most, and rolled back.
https://www.postgresql.org/docs/current/xfunc-volatility.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tabsync.kernel.errors import NotAllowed, Refused, words_of
from tabsync.postgres.connect import Connection
from tabsync.postgres.pipe import ROLLBACK, Pipe
from tabsync.postgres.queries import named
from tabsync.postgres.readonly_kept import search_path
from tabsync.postgres.readonly_proof import COMPUTED_TO_READ, VOLATILE, Catalog, could_act, look_up, stored_with
from tabsync.postgres.readonly_text import names_of, statements
from tabsync.postgres.scan import TARGET, parameters, scan, without_parameters
from tabsync.postgres.settings import SEARCH_PATH

_SQL = named(__package__, "explain.sql")
_READONLY = named(__package__, "readonly.sql")
_BOUNDS = {"statement_timeout": "2000", "lock_timeout": "200"}
_SECONDS = 5.0
_HAVE_PLANS = (exp.Query, exp.Values, exp.Insert, exp.Update, exp.Delete, exp.Merge)
_WRITING = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_NEVER = (exp.Into, exp.Create, exp.Command, exp.Copy)
_FIRST = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(\w+|.)", re.DOTALL)
_WORDS = ("select", "with", "values", "table", "(", "insert", "update", "delete", "merge")
_NAME = "tabsync_explained"
_STORED = COMPUTED_TO_READ | {"a constraint", "a default", "a policy", "a rule"}


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan, line by line. path: where its names were looked up; parameters: how many, whose values are unknown."""

    lines: tuple[str, ...]
    path: tuple[str, ...]
    parameters: int


def explain(connection: Connection, text: str, role: str) -> Explained:
    """The generic plan of a statement, as a role.

    Raises Refused where something could run that isn't PostgreSQL's own, NotAllowed where we can't act as that role,
    psycopg.Error where the server refuses.
    """
    plain = _checked(text)
    pipe = Pipe(connection, time.monotonic() + _SECONDS)
    try:
        every, path = _begin(pipe, role)
        catalog = look_up(pipe, [plain], every)
        names = names_of(plain)
        stored = stored_with(names, names.words | set(every), catalog, _STORED)
        told = [*_foreign(could_act(plain, catalog, every)), *_assigned(plain, catalog), *stored]
        if told:
            raise _refused(told)
        schemas = sql.SQL(", ").join(map(sql.Identifier, path)).as_string(connection)
        before = [search_path(pipe, schemas), _SQL["as_usual"]]
        rows = pipe.rows(*before, *_explaining(text))[-1]
    finally:
        if not connection.closed:
            after = [[f"deallocate {_NAME}"]] if parameters(text) else []  # it outlives its transaction
            pipe.run([[ROLLBACK], *after])
    return Explained(tuple(str(next(iter(row.values()))) for row in rows), tuple(path), parameters(text))


def _checked(text: str) -> str:
    """The statement without its parameters, once it is known to be a single one that has a plan. Raises Refused."""
    first = _FIRST.match(text)
    word = first[1].lower() if first else ""
    if word not in _WORDS:
        said = word.upper() or "an empty text"
        raise Refused(
            f"{said} has no plan: only SELECT, INSERT, UPDATE, DELETE and MERGE have one", "tabsync queries show"
        )
    try:
        plain = without_parameters(text)
        scan(plain)
        found = statements(plain)
    except (ValueError, SqlglotError) as error:
        raise _refused([f"its text can't be read with certainty: {str(error).splitlines()[0]}"]) from None
    if len(found) != 1 or not isinstance(found[0], _HAVE_PLANS):
        raise _refused(["it is not one statement that has a plan"])
    if any(True for _ in found[0].find_all(*_NEVER)):
        raise _refused(["a part of it is no query"])
    return plain


def _begin(pipe: Pipe, role: str) -> tuple[list[str], list[str]]:
    """Open the transaction as the role; gives where its names are looked up, with and without PostgreSQL's own."""
    become = sql.SQL("set local role {}").format(sql.Identifier(role)).as_string(pipe.conn)
    quoted = sql.Identifier(role).as_string(pipe.conn)
    try:
        found = pipe.rows(
            _READONLY["begin"],
            pipe.filled(_READONLY["bound"], {"search_path": SEARCH_PATH, **_BOUNDS}),
            become,
            pipe.filled(_SQL["path"], {"role": quoted}),
            _READONLY["meant"],
            search_path(pipe, SEARCH_PATH),
        )
    except psycopg.errors.InsufficientPrivilege as error:
        user = sql.Identifier(pipe.conn.info.user).as_string(pipe.conn)
        raise NotAllowed(f"not allowed to act as {role}: {words_of(error)}", f"grant {quoted} to {user}") from None
    ((meant,), _) = found[-2:]
    return meant["every"], meant["path"]


def _explaining(text: str) -> list[str]:
    """With parameters, the statement is planned by preparing it: EXPLAIN (GENERIC_PLAN) came with 16, and takes the
    simple protocol, in which a text can be more than one statement."""
    count = parameters(text)
    if not count:
        return [f"explain {text}"]
    nulls = ", ".join(["null"] * count)
    return [_SQL["generic"], f"prepare {_NAME} as {text}", f"explain execute {_NAME}({nulls})"]


def _foreign(told: Sequence[str]) -> list[str]:
    """Why its names can't be trusted.

    The alias that we gave the table of an INSERT is no function, and what is volatile is never computed by the planner.
    """
    ours = f"the function {TARGET} does not exist here"
    return [reason for reason in told if reason != ours and not reason.endswith(VOLATILE)]


def _assigned(plain: str, catalog: Catalog) -> list[str]:
    """What is written is cast to the column's type without a word."""
    if not any(True for one in statements(plain) for _ in one.find_all(*_WRITING)):
        return []
    return [f"the cast {row['name']} calls a function" for row in catalog.casts if row["castcontext"] in ("a", "i")]


def _refused(told: Sequence[str]) -> Refused:
    return Refused(
        f"the planner could run what isn't PostgreSQL's own: {'; '.join(dict.fromkeys(told))}",
        "explain it in psql, in a session of the application's own role",
    )
