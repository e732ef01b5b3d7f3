"""Whether a server can take what is to be restored: its rights, extensions, roles and tablespaces, seen beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tabsync.backups.restore.server import SQL
from tabsync.copies.dumps import money
from tabsync.copies.restores.rights import check_rights, usable_tablespaces
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.postgres.toc import Entry
from tabsync.stores.manifest import Manifest

_WORD = re.compile(r'"((?:[^"]|"")+)"|(\w+)')


def check_target(
    connection: Connection,
    manifest: Manifest,
    entries: Sequence[Entry],
    *,
    no_owner: bool,
    makes: bool = True,
    keep: bool = False,
) -> list[str]:
    """Refuse what can't work before anything is touched; gives the options of pg_restore that the target needs.

    entries: what is going to be restored; makes: whether a database is made for it; keep: what this user may not make
    is left out on demand.
    Raises NotAllowed when the user may not make what is restored, Refused on a standby, and naming the missing
    extensions and roles.
    """
    if not keep:
        money.check_known(connection, manifest.database, entries)
    return check_server(connection, entries, manifest.roles, no_owner=no_owner, makes=makes, keep=keep)


def check_server(
    connection: Connection,
    entries: Sequence[Entry],
    roles: Sequence[str],
    *,
    no_owner: bool,
    makes: bool = True,
    keep: bool = False,
) -> list[str]:
    """The same for what is no backup of ours. roles: those of the source that grants and policies may name."""
    catalog.check_primary(connection)
    facts = connection.execute(SQL["rights"]).fetchone() or (False, False)
    superuser, may_create = facts
    if makes and not may_create:
        raise NotAllowed("this user may not create databases", "alter role ... createdb, or restore as another user")
    wanted = {entry.name for entry in entries if entry.kind == "EXTENSION"}
    if missing := sorted(wanted - catalog.available_extensions(connection)):
        raise Refused(
            f"extensions are missing on this server: {', '.join(missing)}", "install their packages on the server"
        )
    needed = roles_needed(entries, roles, no_owner=no_owner)
    if missing := sorted(needed - set(catalog.roles(connection))):
        hint = "create them, or restore without owners and privileges: --no-owner"
        raise Refused(
            f"roles are missing on this server: {', '.join(map(catalog.quoted, missing))}",
            "create them: policies refer to them" if no_owner else hint,
        )
    owners = {entry.owner for entry in entries if entry.owner} if not (superuser or no_owner) else set()
    rows = connection.execute(SQL["foreign_roles"], {"roles": sorted(owners)}).fetchall()
    if rows:
        raise Refused(
            f"this user can't make these roles own objects: {', '.join(catalog.quoted(row[0]) for row in rows)}",
            "restore without owners and privileges: --no-owner",
        )
    check_rights(connection, entries, no_owner=no_owner, keep=keep)
    options = ["--no-owner", "--no-privileges"] if no_owner else []
    spaces = {entry.tablespace for entry in entries if entry.tablespace} - {"pg_default", "pg_global"}
    return options + (["--no-tablespaces"] if spaces - usable_tablespaces(connection) else [])


def roles_needed(entries: Iterable[Entry], roles: Iterable[str], *, no_owner: bool) -> set[str]:
    """The roles that must exist: owners, and of the source's roles those that grants and policies name."""
    known, needed = set(roles), set()
    for entry in entries:
        named_in = ("POLICY", "USER MAPPING") if no_owner else ("POLICY", "USER MAPPING", "ACL", "DEFAULT ACL")
        if entry.owner and not no_owner and entry.kind not in ("DATABASE", "DATABASE PROPERTIES"):
            needed.add(entry.owner)
        if entry.kind in named_in and not entry.name.startswith("DATABASE "):
            needed |= known & {quoted.replace('""', '"') or plain for quoted, plain in _WORD.findall(entry.definition)}
    return {role for role in needed if not role.startswith("pg_")}
