"""The functions of the audit log, composed from the parts in functions.sql for the log of one database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import LiteralString

from psycopg import sql

from tabsync.audit.database.setup import Audited, Setup, run
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "functions.sql")
_CAST_GUARD = named(__package__, "cast_guard.sql")
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
    "uuid": "case when v_who[1] ~ '^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$' then v_who[1]::uuid end",
    "bigint": "case when v_who[1] ~ '^[0-9]{1,18}$' then v_who[1]::bigint end",
    "integer": "case when v_who[1] ~ '^[0-9]{1,9}$' then v_who[1]::int end",
    "text": "v_who[1]",
    "character varying": "v_who[1]",
}
"""Where user_id can hold an actor, by its type."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours.

    body: what pg_proc.prosrc is then; settings: its SET clauses but the search_path; definer: it runs as its owner. One
    that is none is called by those only, and finds their settings.
    """

    name: str
    body: str
    returns: LiteralString = "trigger"
    arguments: LiteralString = ""
    volatility: LiteralString = ""
    settings: tuple[tuple[str, str], ...] = ()
    definer: bool = True

    def config(self) -> list[str]:
        """Its settings as pg_proc.proconfig has them."""
        own = ["search_path=pg_catalog, pg_temp"] if self.definer else []
        return [*own, *(f"{name}={value}" for name, value in self.settings)]


def function_name(event: str, one: Audited) -> str:
    """The function of a table's trigger: the shorter ones where its key is one column, and where nothing is secret."""
    if event == "truncate":
        return _Kind(event, one.must, one_key=True, plain=False).name
    json = one.must and one.json
    return _Kind(event, one.must, one_key=len(one.keys) == 1, plain=not one.secret, json=json).name


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which of the trigger functions.

    plain: it asks for no secret; the others do, as an older trigger may need it; json: a change that must be
    recorded, of a table in which jsonb may not take a value.
    """

    event: str
    must: bool
    one_key: bool
    plain: bool
    json: bool = False

    @property
    def name(self) -> str:
        strict = "must" if self.must else "possible"
        more = {"_keys": not self.one_key, "_plain": self.plain, "_json": self.json}
        return f"{self.event}_{strict}{''.join(word for word, so in more.items() if so)}"


def functions(log: Relation, user_type: str) -> Iterator[Function]:
    """All functions for a log. user_type: the type of its column user_id, as format_type() gives it."""
    for kind in _kinds():
        wait = ("lock_timeout", f"{MUST_WAIT if kind.must else MAY_WAIT}ms")
        more = (("row_security", "off"), wait) if kind.event == "truncate" else (wait,)
        yield Function(kind.name, _body(kind, log, user_type), settings=(*_WRITTEN.items(), *more))
    yield Function("claimed", _without_comment(_SQL["claimed"]), "text[]", volatility="stable", definer=False)
    who = _without_comment(_SQL["who_claims"])
    yield Function("who", who, "record", "out actor text, out how text", "stable")
    only_key = _without_comment(_SQL["only_key"])
    yield Function("only_key", only_key, "jsonb", "image jsonb, keys text[]", "immutable", definer=False)
    stops = _without_comment(_SQL["stops_cast"])
    yield Function("stops_cast", stops, "boolean", "kind oid, called oid", definer=False)
    by_column = _text("by_column", no_cast=_sql("no_cast"))
    yield Function("by_column", by_column, "text", "of_table oid, source text, keys text[]", definer=False)
    yield Function("json_of", _text("json_of"), "jsonb", "names text[], given json[], keys text[]", definer=False)
    yield Function("refuse_cast", _without_comment(_CAST_GUARD["body"]), "event_trigger")
    for name, block in (("keep", "keep"), ("kept", "kept_update")):
        yield Function(name, _text(block, log=log.identifier()))


def _kinds() -> Iterator[_Kind]:
    for event, must in product(EVENTS, (True, False)):
        for one_key, plain in product((True, False), (False, True)):
            if event != "truncate" or (one_key and not plain):
                yield _Kind(event, must, one_key, plain)
            if event != "truncate" and must:
                yield _Kind(event, must, one_key, plain, json=True)


def write_functions(connection: Connection, setup: Setup, user_type: str) -> None:
    """Create or replace them all, and give them to their owner."""
    for one in functions(setup.log, user_type):
        write_function(connection, one, setup.owner)


def write_function(connection: Connection, one: Function, owner: str) -> None:
    """Create or replace one."""
    settings = [sql.SQL("set {} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in one.settings]
    if one.definer:
        settings.insert(0, sql.SQL("security definer set search_path = pg_catalog, pg_temp").format())
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


def _body(kind: _Kind, log: Relation, user_type: str) -> str:
    transition = {"delete": "tabsync_old", "truncate": "(values (1)) one"}.get(kind.event, "tabsync_new")
    truncates = kind.event == "truncate"
    user_id = sql.SQL(_user_id(user_type))
    table = _sql("table")
    parts: dict[str, sql.Composable] = {"insert_into": _sql("insert_into", log=log.identifier()), "user_id": user_id}
    parts |= {"who": _sql("who", table=table), "no_cast": _sql("no_cast")}
    if truncates:
        parts |= {"log_name": sql.Literal(log.identifier().as_string(None)), "table": table}
        declare, again = _sql("truncate_declare"), _sql("not_again")
    else:
        parts |= _row_parts(kind)
        declare, again = _sql("again_declare"), _again(kind, parts)
    guarded = kind.json or not kind.must
    whole: dict[str, sql.Composable] = {"again": again} if guarded else {}
    if not kind.must:
        whole["transition"] = sql.SQL(transition)
    return _text(
        "must_json" if kind.json else "must" if kind.must else "possible",
        declare=declare if guarded or truncates else sql.SQL(""),
        before=_sql("before_rows"),
        rows=_sql(kind.event, **parts, new_rows=_sql("new_rows"), old_rows=_sql("old_rows")),
        **whole,
    )


def _again(kind: _Kind, parts: dict[str, sql.Composable]) -> sql.Composed:
    """The same once more, when jsonb didn't take a value."""
    seen = {"insert": ("read_new",), "delete": ("read_old",)}.get(kind.event, ("read_old", "read_new"))
    rows = _sql(kind.event, **parts, new_rows=_sql("new_again"), old_rows=_sql("old_again"))
    return _sql("again", read=sql.SQL("\n").join(map(_sql, seen)), before=_sql("before_rows"), rows=rows)


def _row_parts(kind: _Kind) -> dict[str, sql.Composable]:
    """How a row is named and shown in the log."""
    named_by = _sql("one_key_text", j=sql.SQL("r.j")) if kind.one_key else _keys("r.j", none="else ''")
    image = sql.SQL if kind.plain else _image
    if kind.event != "update":
        return {"entity_id": named_by, "image": image("r.j")}
    key = _one_key if kind.one_key else _keys
    changed = _sql("changed_plain") if kind.plain else _sql("changed", secret=_sql("secret"))
    images = {"old_image": image("r.o"), "new_image": image("r.n")}
    return {"entity_id": named_by, "old_key": key("p.j"), "new_key": key("q.j"), "changed": changed, **images}


def _user_id(user_type: str) -> str:
    """The actor as a value of that type, null where it doesn't fit."""
    kind, _, length = user_type.rstrip(")").partition("(")
    if length and kind == "character varying":
        return f"case when length(v_who[1]) <= {int(length)} then v_who[1] end"
    return _ACTOR_AS.get(kind, f"null::{user_type}")


def _one_key(row: LiteralString) -> sql.Composed:
    return _sql("one_key", j=sql.SQL(row))


def _keys(row: LiteralString, none: LiteralString = "") -> sql.Composed:
    return _sql("keys", j=sql.SQL(row), none=sql.SQL(none))


def _image(row: LiteralString) -> sql.Composed:
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
