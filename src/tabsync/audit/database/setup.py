"""What is to be audited in a database: the manual's tables and roles, with what the catalog says of them, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.manual.model import Hierarchy
from tabsync.manual.wiring import Audit, AuditedTable, UserWiring
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

CATALOG = named(__package__, "catalog.sql")
DATABASE = named(__package__, "database.sql")
LOOKING = Limits(lock_timeout=1_000, statement_timeout=30_000)

OWNER = "tabsync_audit"
"""The role, and the schema, of all that is ours in a database."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A table that is audited.

    keys: the columns of its key, () where it has none; secret: columns that are masked, with the generated
    ones that are made of them; json: it has a column of type
    json, or of one that is made of it, whose values jsonb may not take.
    """

    relation: Relation
    must: bool
    entity: str
    keys: tuple[str, ...]
    secret: tuple[str, ...]
    json: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """A role of the manual. above: every role strictly above it; sign_up: whether anybody's INSERT may give it."""

    role: str
    above: tuple[str, ...]
    sign_up: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be installed.

    owner: the role that owns it; users: whose roles are guarded, None for nobody's; missing: tables of the manual that
    are not there, and so not in tables.
    """

    log: Relation
    owner: str
    tables: tuple[Audited, ...]
    roles: tuple[Ranked, ...]
    users: UserWiring | None = None
    missing: tuple[Relation, ...] = ()

    def to_json(self) -> Facts:
        """The arguments of a step; the inverse of setup_from_json."""
        plain = asdict(replace(self, users=None))
        return plain | {"users": self.users.model_dump() if self.users else None}

    def owned_by(self) -> sql.Identifier:
        """The owner, composed."""
        return sql.Identifier(self.owner)


def setup_from_json(data: Facts) -> Setup:
    """What a step is to install."""
    tables = tuple(
        Audited(
            Relation(**one["relation"]),
            one["must"],
            one["entity"],
            tuple(one["keys"]),
            tuple(one["secret"]),
            one.get("json", False),
        )
        for one in data["tables"]
    )
    roles = tuple(Ranked(one["role"], tuple(one["above"]), one["sign_up"]) for one in data["roles"])
    users = UserWiring(**data["users"]) if data.get("users") else None
    return Setup(Relation(**data["log"]), data["owner"], tables, roles, users)


def setup_of(
    connection: Connection, audit: Audit, users: UserWiring | None, hierarchy: Hierarchy, *, installed: bool = False
) -> Setup:
    """What a manual wants to be audited, in this database.

    installed: it is already, and what was renamed since is no error: lacking() tells it. Raises BadUsage for a table or
    a column that isn't there, Refused for one that can't be audited.
    """
    if not installed:
        for told, _, hint in lacking(connection, audit):
            raise BadUsage(told, hint)
    found = [(one, table_facts(connection, relation_named(one.name))) for one in audit.tables]
    return Setup(
        relation_named(audit.log),
        owner_of(connection),
        tuple(_audited(connection, one, facts) for one, facts in found if facts),
        ranked(users, hierarchy),
        users,
        tuple(relation_named(one.name) for one, facts in found if not facts),
    )


def lacking(connection: Connection, audit: Audit) -> Iterator[tuple[str, str, str]]:
    """Tables and secret columns of a manual that are not in this database: what, what follows, and what to do."""
    for one in audit.tables:
        relation, hint = relation_named(one.name), f"correct line {one.line} of it"
        facts = table_facts(connection, relation)
        if facts is None:
            yield f"there is no table {relation}, which the manual audits", "", hint
        elif gone := [name for name in one.secret if name not in facts["columns"]]:
            told = f"{relation} has no column {gone[0]}, which the manual calls secret"
            yield told, "no values of it are recorded", hint


def owner_of(connection: Connection) -> str:
    """The role that owns what is installed: one of its own, or whoever installs where none can be made."""
    may = rows(connection, "may", of=DATABASE)[0]
    return OWNER if may["may_own"] else str(may["user"])


def ranked(users: UserWiring | None, hierarchy: Hierarchy) -> tuple[Ranked, ...]:
    """The manual's roles; without a word on it, those that nobody is below may be given at sign-up."""
    names = hierarchy.names()
    found = []
    for name in names:
        above = tuple(other for other in names if hierarchy.above(other, name))
        leaf = not any(hierarchy.above(name, other) for other in names)
        found.append(Ranked(name, above, name in users.sign_up if users and users.sign_up else leaf))
    return tuple(found)


def table_facts(connection: Connection, relation: Relation) -> Facts | None:
    """What the catalog says of a table; None where there is none of that name."""
    found = rows(connection, "table", schema=relation.schema, name=relation.name)
    return found[0] if found else None


def parts_of(connection: Connection, relation: Relation) -> list[Relation]:
    """A table, and the partitions of a partitioned one."""
    found = rows(connection, "parts", schema=relation.schema, name=relation.name)
    return [Relation(one["schema"], one["name"]) for one in found]


def beside(connection: Connection, tables: Sequence[Audited]) -> list[Relation]:
    """All tables of the schemas in which some are audited."""
    schemas = sorted({one.relation.schema for one in tables})
    return [Relation(one["schema"], one["name"]) for one in rows(connection, "unaudited", schemas=schemas)]


def rows(connection: Connection, statement: str, /, *, of: Any = CATALOG, **values: Any) -> list[Facts]:
    """The rows of a statement of catalog.sql, or of another file."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(of[statement], values or None).fetchall()


def run(connection: Connection, statement: str, /, *, of: Any = DATABASE, **names: sql.Composable) -> None:
    """Run a composed statement of database.sql, or of another file."""
    connection.execute(sql.SQL(of[statement]).format(**names))


def _audited(connection: Connection, one: AuditedTable, facts: Facts) -> Audited:
    relation = relation_named(one.name)
    made = rows(connection, "made_of", oid=facts["oid"], names=list(one.secret)) if one.secret else []
    secret = tuple(dict.fromkeys([*one.secret, *(each["name"] for each in made)]))
    if both := [name for name in secret if name in facts["keys"]]:
        raise Refused(
            f"{both[0]} is the key of {one.name}, by which the log names a row: it can't be secret",
            f"correct line {one.line} of the manual",
        )
    json = rows(connection, "has_json", oid=facts["oid"])[0]["has_json"]
    return Audited(relation, one.must, one.entity or relation.name, tuple(facts["keys"]), secret, json)
