"""The application's users by the manual's wiring: found, and with what is known of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.audit.database.trust import check_called, check_ours
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused, words_of
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.catalog import relation_named
from tabsync.postgres.connect import Connection, allowed
from tabsync.postgres.held_table import held_table
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SQL = named(__package__, "users.sql")
LOOKING = Limits(lock_timeout=1_000, statement_timeout=30_000)
CHANGING = Limits(lock_timeout=5_000, statement_timeout=30_000)
_SOME = 1_000_000
_OWNER = "use the owner of the users' table"


@dataclass(frozen=True, slots=True)
class User:
    """A user. key: as text; verified, off: None where the manual names no such column; off: the account is disabled."""

    key: str
    email: str
    name: str
    role: str
    verified: bool | None
    off: bool | None
    has_password: bool | None

    def to_json(self) -> Facts:
        """As a fact."""
        return asdict(self)


def policy(workspace: Workspace) -> tuple[Manual, UserWiring]:
    """The manual, and where it has its users. Raises Refused when it says nothing of them."""
    manual = load(workspace.manual_path)
    if manual.users is None:
        raise Refused(
            "the manual does not say where the users are",
            "add a section Users to it, with a table What | Where: Table, Key, E-mail, Role",
        )
    return manual, manual.users


def users(connection: Connection, wiring: UserWiring, *, role: str | None = None, limit: int = _SOME) -> list[User]:
    """All users, or those with a role."""
    return _found(connection, wiring, role=role, limit=limit)


def user_by_key(connection: Connection, wiring: UserWiring, key: str) -> User | None:
    """The user of a key."""
    return next(iter(_found(connection, wiring, key=key)), None)


def user_by_email(connection: Connection, wiring: UserWiring, email: str) -> User:
    """The user with an address. In another case it is the same one only where a unique index says so.

    Raises BadUsage when there is none, Refused when there are several.
    """
    given = plain_address(email)
    found = _found(connection, wiring, email=given) or _found(connection, wiring, email=email.strip())
    exact = [one for one in found if one.email == given]
    found = exact or found
    if not found:
        raise BadUsage(f"there is no user {given}", "to list them: tabsync user list")
    if len(found) > 1:
        raise Refused(
            f"{len(found)} users have the address {given}: {', '.join(one.key for one in found[:5])}",
            "which of them is meant can't be told: change one of the addresses",
        )
    return found[0]


def users_at(connection: Connection, wiring: UserWiring, email: str) -> list[User]:
    """All users whose address is this one, as the database compares them."""
    return _found(connection, wiring, email=email)


def plain_address(email: str) -> str:
    """An address as it is compared: without spaces around it, in one form of Unicode. Raises BadUsage."""
    given = unicodedata.normalize("NFC", email).strip()
    if not given or "\0" in given:
        raise BadUsage("the e-mail address is empty", "tabsync user show ana@example.com")
    return given


def any_case(connection: Connection, wiring: UserWiring) -> bool:
    """Whether addresses that differ in case only are one address in this database."""
    table = relation_named(wiring.table).identifier().as_string(None)
    return bool(_rows(connection, wiring, "any_case", email=wiring.email, table=table)[0]["exists"])


def counts(connection: Connection, wiring: UserWiring) -> dict[str, int]:
    """How many users have each role."""
    return {str(one["role"]): one["users"] for one in _rows(connection, wiring, "counts")}


def password_hash(connection: Connection, wiring: UserWiring, key: str) -> str:
    """The hash of a user's password, "" where there is none. Raises Refused when the manual names no column."""
    if not wiring.password_hash:
        raise Refused("the manual does not say where the hashes of passwords are", "use --break-glass NAME")
    found = _execute(connection, wiring, "password_hash", {"key": key}).fetchone()
    return str(found[0] or "") if found else ""


def history(connection: Connection, manual: Manual, keys: Sequence[str], limit: int = 20) -> list[Facts] | None:
    """What the audit log says of the roles of some users, newest first; None when that is not known."""
    wiring = manual.users
    if wiring is None or not (log := log_of(connection)):
        return None
    table = manual.audit.table(wiring.table) if manual.audit else None
    entity = table.entity if table and table.entity else relation_named(wiring.table).name
    query = sql.SQL(SQL["history"]).format(log=relation_named(log).identifier(), role_key=sql.Literal(wiring.role))
    with suppress(psycopg.errors.InsufficientPrivilege), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, {"entity": entity, "keys": list(keys), "limit": limit}).fetchall()
    return None


def told_of(connection: Connection, manual: Manual, keys: Sequence[str], limit: int = 20) -> list[Facts] | None:
    """The same, with the address of who did it where that is a user."""
    found = history(connection, manual, keys, limit)
    if found is None or manual.users is None:
        return found
    known: dict[str, str] = {}
    for who in {one["who"] for one in found if one["who"] and one["how"] not in ("break-glass", "host")}:
        user = user_by_key(connection, manual.users, who)
        known[who] = user.email if user else who
    return [one | {"who": known.get(one["who"], one["who"])} for one in found]


def log_of(connection: Connection) -> str:
    """The audit log's table, as the manual names tables; "" where it is not installed, or not to be seen."""
    check_ours(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        readable = cursor.execute(SQL["installed"]).fetchone()
        found = cursor.execute(SQL["log"]).fetchone() if readable and readable["readable"] else None
    return str(found["log"]) if found else ""


def check_ready(connection: Connection, what: str = "installed") -> None:
    """See that the guarded functions can be called, and are ours. Raises Refused, NotAllowed."""
    check_ours(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(SQL["ready"]).fetchone() or {}
    if not found.get(what):
        raise Refused(
            "roles are changed by a function that also writes the audit log, and it is not installed",
            "tabsync audit install",
        )
    if not found.get("allowed"):
        raise NotAllowed("this role may not change the role of a user", "use the role that ran tabsync audit install")
    for name in ("change_role_as", "create_admin_as", *(("disable_user_as",) if found.get("disables") else ())):
        check_called(connection, name)


def _found(connection: Connection, wiring: UserWiring, **asked: Any) -> list[User]:
    values = {"email": None, "role": None, "key": None, "limit": _SOME, "any_case": False} | asked
    if values["email"] is not None:
        values["any_case"] = any_case(connection, wiring)
    return [User(**one) for one in _rows(connection, wiring, "users", **values)]


def _rows(connection: Connection, wiring: UserWiring, block: str, **values: Any) -> list[Facts]:
    with _reading(connection, wiring), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_composed(wiring, block), values).fetchall()


def _execute(connection: Connection, wiring: UserWiring, block: str, values: Facts) -> psycopg.Cursor[Any]:
    with _reading(connection, wiring):
        return connection.execute(_composed(wiring, block), values)


@contextmanager
def _reading(connection: Connection, wiring: UserWiring) -> Iterator[None]:
    """Read the users' table, and nothing that took its place. Raises Refused, NotAllowed for what it lacks."""
    columns = [one for one in (wiring.key, wiring.email, wiring.role, wiring.name, wiring.verified) if one]
    columns += [one for one in (wiring.disabled, wiring.password_hash) if one]
    try:
        with allowed("read the users", _OWNER), held_table(connection, relation_named(wiring.table), columns):
            yield
    except psycopg.errors.UndefinedTable:
        fact = f"this database has no table {relation_named(wiring.table)}, where the manual says the users are"
        raise Refused(fact, "name the application's database with --database, or correct the manual") from None
    except psycopg.errors.UndefinedColumn as error:
        fact = f"the manual names a column of the users that is not there: {words_of(error)}"
        raise Refused(fact, "correct the manual's section Users: tabsync manual show users") from None


def _composed(wiring: UserWiring, block: str) -> sql.Composed:
    names = {name: sql.Identifier(getattr(wiring, name)) for name in ("key", "email", "role")}
    parts: dict[str, sql.Composable] = {
        "users": relation_named(wiring.table).identifier(),
        "name": _column(wiring.name, "u.{}::text", "''"),
        "verified": _column(wiring.verified, "coalesce(u.{}::text <> 'false', false)"),
        "off": _column(wiring.disabled, "coalesce(u.{}::text <> 'false', false)"),
        "has_password": _column(wiring.password_hash, "u.{} is not null"),
        "password_hash": sql.Identifier(wiring.password_hash),
    }
    return sql.SQL(SQL[block]).format(**names, **parts)


def _column(name: str, expression: LiteralString, without: LiteralString = "null::boolean") -> sql.Composable:
    return sql.SQL(expression).format(sql.Identifier(name)) if name else sql.SQL(without)
