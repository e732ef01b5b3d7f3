"""The functions of the audit log, composed from the parts in functions.sql for the log of one database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from tabsync.audit.setup import Setup, run
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "functions.sql")
EVENTS = ("insert", "update", "delete", "truncate")
MUST_WAIT = 2_000
"""How long a change that must be recorded waits for a lock of the log, in milliseconds: then it fails."""
MAY_WAIT = 100
"""The same where it is recorded when possible: then it goes on."""

_WRITTEN = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "lc_monetary": "C",
}
"""How values look as text. TRUNCATE reads rows: there, a policy which hides some is an error."""

_ACTOR_AS = {
    "uuid": "case when w.actor ~ '^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$' then w.actor::uuid end",
    "bigint": "case when w.actor ~ '^[0-9]{1,18}$' then w.actor::bigint end",
    "integer": "case when w.actor ~ '^[0-9]{1,9}$' then w.actor::int end",
    "text": "w.actor",
    "character varying": "w.actor",
}
"""Where user_id can hold an actor, by its type."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours. body: what pg_proc.prosrc is then; settings: its SET clauses but the search_path."""

    name: str
    body: str
    returns: LiteralString = "trigger"
    arguments: LiteralString = ""
    volatility: LiteralString = ""
    settings: tuple[tuple[str, str], ...] = ()

    def config(self) -> list[str]:
        """Its settings as pg_proc.proconfig has them."""
        return ["search_path=pg_catalog, pg_temp", *(f"{name}={value}" for name, value in self.settings)]


def function_name(event: str, *, must: bool) -> str:
    """The function of a trigger."""
    return f"{event}_{'must' if must else 'possible'}"


def functions(log: Relation, user_type: str) -> Iterator[Function]:
    """All functions for a log. user_type: the type of its column user_id, as format_type() gives it."""
    for event in EVENTS:
        for must in (True, False):
            wait = ("lock_timeout", f"{MUST_WAIT if must else MAY_WAIT}ms")
            body = _body(event, log, user_type, must=must)
            more = (("row_security", "off"), wait) if event == "truncate" else (wait,)
            yield Function(function_name(event, must=must), body, settings=(*_WRITTEN.items(), *more))
    yield Function("who", _SQL["who_claims"], "record", "out actor text, out how text", "stable")
    for name, block in (("keep", "keep"), ("kept", "kept_update")):
        yield Function(name, _text(block, log=log.identifier()))


def write_functions(connection: Connection, setup: Setup, user_type: str) -> None:
    """Create or replace them all, and give them to their owner."""
    for one in functions(setup.log, user_type):
        write_function(connection, one, setup.owner)


def write_function(connection: Connection, one: Function, owner: str) -> None:
    """Create or replace one."""
    settings = [sql.SQL("set {} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in one.settings]
    names = {"name": sql.Identifier(one.name), "arguments": sql.SQL(one.arguments)}
    run(
        connection,
        "function",
        **names,
        returns=sql.SQL(one.returns),
        volatility=sql.SQL(one.volatility),
        settings=sql.SQL(" ").join(settings),
        body=sql.Literal(one.body),
    )
    run(connection, "own_function", **names, owner=sql.Identifier(owner))


def _body(event: str, log: Relation, user_type: str, *, must: bool) -> str:
    transition = {"delete": "tabsync_old", "truncate": "(values (1)) one"}.get(event, "tabsync_new")
    truncates = event == "truncate"
    known = user_type if user_type.split("(")[0] in _ACTOR_AS else "text"
    user_id = _ACTOR_AS.get(user_type.split("(")[0], "null")
    parts: dict[str, sql.Composable] = {"insert_into": _sql("insert_into", log=log.identifier()), "who": _sql("who")}
    if truncates:
        parts |= {"log_name": sql.Literal(log.identifier().as_string(None))}
    else:
        parts |= {"entity_id": _key("r.j", none="else ''")}
    if event == "update":
        parts |= {
            "old_key": _key("p.j"),
            "new_key": _key("q.j"),
            "old_image": _image("r.o"),
            "new_image": _image("r.n"),
        }
    elif not truncates:
        parts |= {"image": _image("r.j")}
    whole: dict[str, sql.Composable] = {} if must else {"transition": sql.SQL(transition)}
    return _text(
        "must" if must else "possible",
        user_type=sql.SQL(known),
        declare=_sql("truncate_declare") if truncates else sql.SQL(""),
        before=_sql("before_rows", user_id=sql.SQL(user_id)),
        rows=_sql(event, **parts),
        **whole,
    )


def _key(row: str, none: str = "") -> sql.Composed:
    return _sql("entity_id", j=sql.SQL(row), none=sql.SQL(none))


def _image(row: str) -> sql.Composed:
    return _sql("image", j=sql.SQL(row))


def _sql(block: str, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(_without_comment(_SQL[block])).format(**parts)


def _text(block: str, **parts: sql.Composable) -> str:
    return _sql(block, **parts).as_string(None)


def _without_comment(text: str) -> LiteralString:
    """A block without the lines that say what it is for: what stands in the database is the function alone."""
    lines = text.split("\n")
    first = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[first:])
