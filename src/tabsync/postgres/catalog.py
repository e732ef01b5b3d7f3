"""Reads of the catalog, typed. Each function runs one named statement of catalog.sql."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.postgres.conninfo import place
from tabsync.postgres.queries import named

_SQL = named(__package__, "catalog.sql")

_PART = r'("(?:[^"]|"")+"|[^".]+)'
_QUALIFIED = re.compile(rf"(?:{_PART}\.)?{_PART}")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table by its two names, never by a dotted text."""

    schema: str
    name: str

    def identifier(self) -> sql.Identifier:
        """The table's name, composed for a statement."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        """As a person writes it: quoted only where SQL needs it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that holds rows. estimated_rows: the planner's, -1 when never analyzed; bytes: of its main fork."""

    relation: Relation
    kind: str
    estimated_rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, its columns paired in order. match: "s" simple or "f" full."""

    name: str
    table: Relation
    columns: tuple[str, ...]
    referenced: Relation
    referenced_columns: tuple[str, ...]
    validated: bool
    match: str

    def to_json(self) -> Facts:
        """The key as JSON; its inverse is foreign_key_from_json."""
        return asdict(self)


def foreign_key_from_json(data: Facts) -> ForeignKey:
    """A foreign key as a manifest keeps it."""
    pair = {key: Relation(**data[key]) for key in ("table", "referenced")}
    columns = {key: tuple(data[key]) for key in ("columns", "referenced_columns")}
    return ForeignKey(**(data | pair | columns))


def relation_named(name: str) -> Relation:
    """A table as a manual names it: schema.table, or a table of the schema public; the inverse of str(Relation).

    Either part may stand in double quotes, and has to where it holds a dot or a quote itself.
    """
    match = _QUALIFIED.fullmatch(name)
    schema, table = match.groups(default="") if match else (name.rpartition(".")[0], name.rpartition(".")[2])
    return Relation(_unquoted(schema) or "public", _unquoted(table))


def quoted(name: str) -> str:
    """An identifier as psql's \\d shows it: quotes only where they are needed."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit()
    return name if plain else '"' + name.replace('"', '""') + '"'


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def identity(connection: Connection) -> Facts:
    """Who the server is: database, version, primary or standby, system identifier (None where it may not be read)."""
    row = _one(connection, "identity")
    row["role"] = "standby" if row.pop("standby") else "primary"
    row["system_identifier"] = None
    if row.pop("may_read_system_identifier"):
        row["system_identifier"] = _one(connection, "system_identifier")["system_identifier"]
    return row


def check_primary(connection: Connection) -> None:
    """See that the server can be written to. Raises Refused on a standby."""
    if identity(connection)["role"] == "standby":
        raise Refused(
            f"{place(connection.info.dsn)} is a standby, and therefore read-only",
            "name the primary with --database; backups can be taken from both",
        )


def server_major(facts: Facts) -> int:
    """The major version in what identity() returned."""
    return int(facts["version_num"]) // 10000


def position(connection: Connection) -> Facts:
    """The time and WAL position (LSN) of now."""
    row = _one(connection, "position")
    return {"time": iso(row["time"]), "lsn": row["lsn"]}


def reached(connection: Connection) -> Facts:
    """The WAL position that the data reaches, and the moment by which all that was committed is in it.

    On a standby that moment is as long ago as it is behind, and by the primary's clock; told too early where the user
    may not see the standby's WAL receiver, or where nothing is committed. Raises NotAllowed when it can't be told.
    https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-WAL-RECEIVER-VIEW
    """
    row = _one(connection, "reached")
    known = [row["time"]] if row["time"] else []
    if row["standby"] and row["may_read_checkpoint"]:
        known.append(_one(connection, "last_checkpoint")["time"])
    if not known:
        raise NotAllowed(
            "the replication lag of this standby is unknown", f"grant pg_monitor to {quoted(connection.info.user)}"
        )
    return {"time": iso(max(known)), "lsn": row["lsn"]}


def wal_between(connection: Connection, earlier: str, later: str) -> int:
    """Bytes of WAL from one LSN to another."""
    row = connection.execute(_SQL["wal_between"], {"earlier": earlier, "later": later}).fetchone()
    return int(row[0]) if row else 0


def export_snapshot(connection: Connection) -> str:
    """The open transaction's snapshot, for pg_dump --snapshot."""
    return str(_one(connection, "export_snapshot")["pg_export_snapshot"])


def database_facts(connection: Connection) -> Facts:
    """Encoding, locale and size (bytes) of the database."""
    return _one(connection, "database")


def tables(connection: Connection) -> list[Table]:
    """The tables that hold rows, by schema and name."""
    return [
        Table(Relation(row["schema"], row["name"]), row["kind"], row["estimated_rows"], row["bytes"])
        for row in _rows(connection, "tables")
    ]


def with_partitions(connection: Connection, relations: Sequence[Relation]) -> list[Relation]:
    """Tables and, of those that are partitioned or inherited from, all that are below them.

    Raises BadUsage naming the tables that don't exist.
    """
    found, missing = [], []
    for relation in relations:
        rows = _rows(connection, "with_partitions", {"schema": relation.schema, "name": relation.name})
        found += [Relation(row["schema"], row["name"]) for row in rows]
        missing += [] if rows else [str(relation)]
    if missing:
        raise BadUsage(
            f"there is no table {', '.join(missing)}", "name it as schema.table; to list the tables: psql -c '\\dt *.*'"
        )
    return found


def schemas(connection: Connection) -> list[str]:
    """The names of the database's schemas, PostgreSQL's own left out."""
    return [row["name"] for row in _rows(connection, "schemas")]


def unreadable(connection: Connection) -> list[Relation]:
    """Tables and sequences that the current user may not read."""
    return [Relation(row["schema"], row["name"]) for row in _rows(connection, "unreadable")]


def foreign_keys(connection: Connection) -> list[ForeignKey]:
    """Every foreign key that a table declares itself."""
    return [
        ForeignKey(
            row["name"],
            Relation(row["schema"], row["table"]),
            tuple(row["columns"]),
            Relation(row["referenced_schema"], row["referenced_table"]),
            tuple(row["referenced_columns"]),
            row["validated"],
            row["match"],
        )
        for row in _rows(connection, "foreign_keys")
    ]


def extensions(connection: Connection) -> list[Facts]:
    """Installed extensions (name, version) but plpgsql, which every database has."""
    return _rows(connection, "extensions")


def available_extensions(connection: Connection) -> set[str]:
    """Names of the extensions this server could create."""
    return {row["name"] for row in _rows(connection, "available_extensions")}


def roles(connection: Connection) -> list[str]:
    """Names of the roles that aren't PostgreSQL's own."""
    return [row["name"] for row in _rows(connection, "roles")]


def tablespaces(connection: Connection) -> list[str]:
    """Names of the tablespaces that aren't PostgreSQL's own."""
    return [row["name"] for row in _rows(connection, "tablespaces")]


def enums(connection: Connection) -> list[Facts]:
    """Enum types: schema, name, labels in order."""
    return _rows(connection, "enums")


def provider(connection: Connection) -> str:
    """Who runs the server: "Supabase", "Amazon RDS", ... or "self-hosted"."""
    row = connection.execute(_SQL["provider"]).fetchone()
    return str(row[0]) if row else "self-hosted"


def key_tables(connection: Connection, limit: int = 5) -> list[Relation]:
    """The readable tables that most foreign keys point at, at most `limit` of them."""
    return [Relation(row["schema"], row["name"]) for row in _rows(connection, "key_tables", {"limit": limit})]


def _rows(connection: Connection, name: str, parameters: dict[str, Any] | None = None) -> list[Facts]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL[name], parameters or {}).fetchall()


def _one(connection: Connection, name: str) -> Facts:
    return _rows(connection, name)[0]


def prove_target(connection: Connection, expected: Facts) -> None:
    """Refuse when the server is not the one that the plan was made for (a moved DNS name, a failover)."""
    found = catalog.identity(connection)
    for what in ("system_identifier", "database", "database_oid"):
        if found[what] != expected[what]:
            raise Refused(
                f"the plan was made for another database: {what} is {found[what]}, not {expected[what]}",
                "check which database the connection string names: tabsync health",
            )


def creation(database: str, facts: Facts) -> sql.Composed:
    """The statement that makes an empty database of the encoding and locale that a manifest tells of."""
    words: list[sql.Composable] = [
        sql.SQL("create database {} template template0 encoding {} lc_collate {} lc_ctype {}").format(
            sql.Identifier(database), facts["encoding"], facts["collate"], facts["ctype"]
        )
    ]
    if facts["provider"] == "i":
        words.append(sql.SQL("locale_provider icu icu_locale {}").format(facts["locale"]))
    elif facts["provider"] == "b":
        words.append(sql.SQL("locale_provider builtin builtin_locale {}").format(facts["locale"]))
    else:
        words.append(sql.SQL("locale_provider libc"))
    return sql.SQL(" ").join(words)


def exists(connection: Connection, database: str) -> bool:
    """Whether there is a database of that name."""
    return connection.execute(_SQL["database_oid"], {"database": database}).fetchone() is not None
