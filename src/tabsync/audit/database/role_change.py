"""The functions by which a user gets another role, and the guards on the users' table; `audit install` installs them.

What reads and writes users belongs to the owner of that table: a trigger of theirs would otherwise run as the role that
owns the audit log. What decides, and writes the log, belongs to that role, and is all that it may call.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from tabsync.manual.wiring import UserWiring
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.queries import named

_SQL = named(__package__, "role_change.sql")
_DEFINER = "security definer"
GUARDS = ("tabsync_guard_insert", "tabsync_guard_update")
"""The triggers on the users' table."""

_USER_ID = {
    "uuid": "case when v_actor ~ '^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$' then v_actor::uuid end",
    "bigint": "case when v_actor ~ '^[0-9]{1,18}$' then v_actor::bigint end",
    "integer": "case when v_actor ~ '^[0-9]{1,9}$' then v_actor::int end",
    "text": "v_actor",
    "character varying": "v_actor",
}


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the functions are installed.

    log, user_type: the audit log, and the type of its user_id; owner: the role that owns it; users_owner: the owner of
    the users' table; entity: what the log calls a user; parts: the users' table and its partitions.
    """

    log: Relation
    user_type: str
    owner: str
    users_owner: str
    entity: str
    parts: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    arguments: LiteralString
    returns: LiteralString = "void"
    security: LiteralString = "security definer"
    of_users: bool = False
    public: bool = False
    as_application: bool = False


_FUNCTIONS = (
    _Function("users_locked", "target text, actor text, top text[]", "jsonb", of_users=True),
    _Function("users_role", "who text", "text", of_users=True),
    _Function("users_share", "one text, other text", "boolean", of_users=True, as_application=True),
    _Function("users_set_role", "who text, to_role text", of_users=True),
    _Function("users_add", "email text, name text, hash text, to_role text", "text", of_users=True),
    _Function("users_set_disabled", "who text, off boolean", of_users=True),
    _Function(
        "check_change",
        "target text, found_role text, to_role text, loses boolean, actor text, actor_how text, reason text",
        "jsonb",
    ),
    _Function(
        "change_role_as",
        "target text, found_role text, to_role text, actor text, actor_how text, reason text",
        "jsonb",
    ),
    _Function(
        "create_admin_as",
        "email text, name text, hash text, to_role text, actor text, actor_how text, reason text",
        "jsonb",
    ),
    _Function("change_role", "target text, to_role text, reason text", "jsonb"),
    _Function("disable_user_as", "target text, off boolean, actor text, actor_how text, reason text", "jsonb"),
    _Function("check_given", "given text[]", public=True),
    _Function("guard_insert", "", "trigger", "security invoker", public=True),
    _Function("guard_update", "", "trigger", "security invoker", public=True),
)

NAMES = frozenset(one.name for one in _FUNCTIONS)
"""All of them."""

PUBLIC = tuple(one.name for one in _FUNCTIONS if one.public)
"""What everybody may call: it only refuses."""


def statements(wiring: UserWiring, where: Installed) -> list[sql.Composed]:
    """All statements that install them, in order; each may be repeated.

    They run in a session whose names mean what they mean to the application (resolve_as_application): so the manual's
    query of the tenants is resolved for good.
    """
    return [*_functions(wiring, where), *_triggers(where)]


def bodies(wiring: UserWiring, where: Installed) -> dict[str, str]:
    """What pg_proc.prosrc of each function is then, by its name."""
    return {one.name: _body(one, wiring, where) for one in _chosen(wiring)}


def as_made(name: str, definer: bool, settings: Sequence[str]) -> bool:
    """Whether a function runs as whom, and under which settings, it was made to. settings: as pg_proc.proconfig."""
    one = next(each for each in _FUNCTIONS if each.name == name)
    wanted = {"search_path=pg_catalog, pg_temp"} | ({"row_security=off"} if one.of_users else set())
    given = set(settings)
    if one.as_application:  # it has the path that the application had, and temporary tables last
        if not any(each.startswith("search_path=") and each.rstrip('"').endswith("pg_temp") for each in settings):
            return False
        wanted, given = ({each for each in some if not each.startswith("search_path=")} for some in (wanted, given))
    return definer is (one.security == _DEFINER) and given == wanted


def _functions(wiring: UserWiring, where: Installed) -> Iterator[sql.Composed]:
    yield _sql("usage")
    for one in _chosen(wiring):
        called = {"name": sql.Identifier(one.name), "arguments": sql.SQL(one.arguments)}
        body = sql.Literal(_body(one, wiring, where))
        if one.as_application:
            yield _sql("function_as_application", **called, returns=sql.SQL(one.returns), body=body)
        else:
            settings = sql.SQL("set row_security = off" if one.of_users else "")
            how = {"returns": sql.SQL(one.returns), "security": sql.SQL(one.security), "settings": settings}
            yield _sql("function", **called, **how, body=body)
        yield _sql("own", **called, owner=sql.Identifier(where.users_owner if one.of_users else where.owner))
        if not one.public:
            yield _sql("private", **called)
        if one.of_users and where.users_owner != where.owner:
            yield _sql("callable", **called, who=sql.Identifier(where.owner))


def _triggers(where: Installed) -> Iterator[sql.Composed]:
    for table in where.parts:
        for name, block in zip(GUARDS, ("trigger_insert", "trigger_update"), strict=True):
            yield _sql(block, table=table.identifier())
            yield _sql("always", table=table.identifier(), name=sql.Identifier(name))


def _chosen(wiring: UserWiring) -> Iterator[_Function]:
    without = () if wiring.disabled else ("users_set_disabled", "disable_user_as")
    return (one for one in _FUNCTIONS if one.name not in without)


def _body(one: _Function, wiring: UserWiring, where: Installed) -> str:
    if one.as_application and not wiring.tenants:
        return "begin\n  return true;  -- the manual has no tenants\nend"
    return _sql(one.name, **_parts(wiring, where)).as_string(None)


def _parts(wiring: UserWiring, where: Installed) -> dict[str, sql.Composable]:
    users = relation_named(wiring.table)
    off = "coalesce(u.{}::text <> 'false', false)" if wiring.disabled else "null::boolean"
    values: dict[str, str] = {
        "users_name": users.identifier().as_string(None),
        "users_text": str(users),
        "key_name": wiring.key,
        "role_name": wiring.role,
        "disabled_name": wiring.disabled,
        "email_name": wiring.email,
        "name_name": wiring.name,
        "hash_name": wiring.password_hash,
        "verified_name": wiring.verified,
        "off": sql.SQL(off).format(sql.Identifier(wiring.disabled)).as_string(None),
        "entity": where.entity,
        "tenants": wiring.tenants.strip().rstrip(";"),
    }
    found: dict[str, sql.Composable] = {name: sql.Literal(value) for name, value in values.items()}
    found["log"] = where.log.identifier()
    found["user_id"] = sql.SQL(_USER_ID.get(where.user_type.split("(")[0], "null"))
    for block in ("declare", "types", "definers", "enter_role"):
        name = "enter" if block == "enter_role" else block
        found[name] = _sql(block, **found)
    return found


def _sql(block: str, **parts: sql.Composable) -> sql.Composed:
    lines = _SQL[block].split("\n")
    first = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return sql.SQL("\n".join(lines[first:])).format(**parts)
