"""What a restore needs a superuser for, known from the table of contents before anything is made.

Each rule is the "must be superuser" of a CREATE command's page in PostgreSQL's manual. A managed service may let its
own administrators do more (create extensions, event triggers): there it can't be known, and the plan warns instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tabsync.copies.restores.pg_restore import name_of
from tabsync.kernel.errors import NotAllowed
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.toc import Entry

SQL = named(__package__, "rights.sql")

_ALWAYS = (
    "ACCESS METHOD",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PUBLICATION TABLES IN SCHEMA",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
)
"""Kinds that only a superuser may make, whatever they say."""

_BY_TEXT: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("PUBLICATION",), re.compile(r" FOR ALL TABLES| FOR TABLES IN SCHEMA")),
    (("TYPE",), re.compile(r"^CREATE TYPE [^;]*\(\s*INTERNALLENGTH ?=|^\s+INPUT = ", re.MULTILINE)),
    # The types of a cast have no schema when they are PostgreSQL's own, which nobody else owns.
    (("CAST",), re.compile(r" WITHOUT FUNCTION|^CREATE CAST \([^.]+ AS [^.]+\) WITH")),
    (("TRANSFORM",), re.compile(r"^CREATE TRANSFORM FOR [^.]+ LANGUAGE")),
    (("AGGREGATE",), re.compile(r"STYPE = internal\b")),
    (("ACL", "DEFAULT ACL"), re.compile(r"^SET SESSION AUTHORIZATION", re.MULTILINE)),
)

_LANGUAGE = re.compile(r"^    (?:TRANSFORM .*? )?LANGUAGE (\S+)(.*)$", re.MULTILINE)
_SETS = re.compile(r'^    SET "?([\w.]+)"? TO ', re.MULTILINE)
_ROUTINES = ("FUNCTION", "PROCEDURE")
_FORCED = re.compile(r"^ALTER TABLE ONLY .* FORCE ROW LEVEL SECURITY;$", re.MULTILINE)
_NAMED = 6  # things that a sentence names


@dataclass(frozen=True, slots=True)
class _Server:
    """What decides for one user on one server."""

    untrusted: frozenset[str]
    languages: frozenset[str]
    settings: frozenset[str]


def check_rights(connection: Connection, entries: Sequence[Entry], *, no_owner: bool, keep: bool = False) -> None:
    """Refuse what this user can't restore. keep: what fails is left out on demand.

    Raises NotAllowed naming what only a superuser can make, or the tables whose rows this user could not count.
    """
    superuser, bypasses, managed = _who(connection)
    if superuser:
        return
    if hidden := [] if bypasses else _hidden(connection, entries, no_owner=no_owner):
        raise NotAllowed(
            f"row-level security would hide rows of {_some(list(map(str, hidden)))} from this user:"
            " the copy could not be verified against the dump",
            "restore as a superuser, or: alter role ... bypassrls",
        )
    needing = [] if managed or keep else _needing(connection, entries, no_owner=no_owner)
    if needing:
        raise NotAllowed(
            f"only a superuser can create {_some(needing)}",
            "restore as a superuser; or restore without them: tabsync restore new --keep-what-came",
        )


def doubts(connection: Connection, entries: Sequence[Entry], *, no_owner: bool) -> str:
    """What the plan says of rights where nobody can know: "" when there is nothing to say."""
    superuser, _, _ = _who(connection)
    needing = [] if superuser else _needing(connection, entries, no_owner=no_owner)
    return f"; this user may lack the privilege to create {_some(needing)}" if needing else ""


def usable_tablespaces(connection: Connection) -> set[str]:
    """The tablespaces in which this user may make things."""
    return {row[0] for row in connection.execute(SQL["usable_tablespaces"], {})}


def only_superuser(entries: Sequence[Entry], server: _Server, *, no_owner: bool) -> Iterator[Entry]:
    """The entries that only a superuser can restore."""
    for entry in entries:
        if entry.kind in ("ACL", "DEFAULT ACL") and (no_owner or entry.name.startswith("DATABASE ")):
            continue
        rule = any(entry.kind in kinds and text.search(entry.definition) for kinds, text in _BY_TEXT)
        foreign = entry.kind == "ACL" and entry.schema in ("pg_catalog", "information_schema")
        untrusted = entry.kind == "EXTENSION" and entry.name in server.untrusted
        if entry.kind in _ALWAYS or rule or foreign or untrusted or _is_risky(entry, server):
            yield entry


def _is_risky(entry: Entry, server: _Server) -> bool:
    """Whether a routine is in C or another language that is trusted to nobody, or claims what only a superuser may."""
    if entry.kind not in _ROUTINES:
        return False
    head = entry.definition.partition("\n    AS ")[0]
    match = _LANGUAGE.search(head)
    if match is None:
        return False
    says = match[2].split()
    risky = match[1].strip('"') not in server.languages or "SUPPORT" in says
    risky = risky or ("LEAKPROOF" in says and "NOT" not in says[says.index("LEAKPROOF") - 1 :][:1])
    return risky or not server.settings.isdisjoint(_SETS.findall(head))


def _needing(connection: Connection, entries: Sequence[Entry], *, no_owner: bool) -> list[str]:
    blocks = ("untrusted_extensions", "trusted_languages", "superuser_settings")
    server = _Server(*(frozenset(row[0] for row in connection.execute(SQL[block], {})) for block in blocks))
    return [f"{one.kind.lower()} {name_of(one)}" for one in only_superuser(entries, server, no_owner=no_owner)]


def _hidden(connection: Connection, entries: Sequence[Entry], *, no_owner: bool) -> list[Relation]:
    """Tables of which policies would show this user only some rows, once it has restored them."""
    ours = {row[0] for row in connection.execute(SQL["inherited_roles"], {})}
    tables = {(one.schema, one.name): one for one in entries if one.kind == "TABLE"}
    guarded = [tables[one.schema, one.name] for one in entries if one.kind == "ROW SECURITY" and _of(one, tables)]
    return [
        Relation(one.schema, one.name)
        for one in guarded
        if _FORCED.search(one.definition) or not (no_owner or one.owner in ours)
    ]


def _of(entry: Entry, tables: dict[tuple[str, str], Entry]) -> bool:
    return (entry.schema, entry.name) in tables


def _who(connection: Connection) -> tuple[bool, bool, bool]:
    row = connection.execute(SQL["who"], {}).fetchone() or (False, False, False)
    return bool(row[0]), bool(row[1]), bool(row[2])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
