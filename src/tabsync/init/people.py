"""What looks like the table of users, and like a log of what they did: proposed to whoever fits the manual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import dict_row

from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_TABLES = ("users", "user", "accounts", "account", "members", "people", "auth_user")
_LOGS = ("audit_logs", "audit_log", "auditlog", "auditlogs")
_LOG_COLUMNS = {"id", "user_id", "action", "entity_type", "entity_id", "old_value", "new_value", "created_at"}
_PLACES: dict[str, tuple[str, ...]] = {
    "E-mail": ("email", "email_address", "mail"),
    "Password hash": ("password_hash", "passwordhash", "encrypted_password", "password_digest", "password"),
    "Name": ("full_name", "fullname", "display_name", "name", "username"),
    "Role": ("role", "user_role", "userrole"),
    "Verified": ("email_verified", "emailverified", "verified", "is_verified"),
    "Disabled": ("disabled_at", "deactivated_at", "deleted_at", "disabled", "is_disabled"),
}
_SQL = named(__package__, "people.sql")


@dataclass(frozen=True, slots=True)
class People:
    """A table that looks like the users'. places: What -> Where, as the manual has them; roles: labels of the role's
    type, () where it is text; log: the table that looks like an audit log, "" if none."""

    table: Relation
    places: tuple[tuple[str, str], ...]
    roles: tuple[str, ...]
    log: str

    def is_plain(self) -> bool:
        """Whether all names can stand in a comment of the manual: none may end it."""
        names = [self.log, *self.roles, *(where for _, where in self.places)]
        return not any("--" in name or not name.isprintable() or "|" in name for name in names)

    @property
    def secret(self) -> str:
        """The column that no log may have."""
        return dict(self.places).get("Password hash", "")


def look_for_people(connection: Connection) -> People | None:
    """The best guess, None where nothing looks like it: a key of one column, an e-mail address and a role are there."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["columns"], {"names": [*_TABLES, *_LOGS]}).fetchall()
    tables: dict[Relation, list[Facts]] = {}
    for row in rows:
        tables.setdefault(Relation(row["schema"], row["name"]), []).append(row)
    logs = [one for one, found in tables.items() if {row["column"] for row in found} >= _LOG_COLUMNS]
    for name in _TABLES:
        for relation, columns in tables.items():
            if relation.name.lower() == name and (places := _places(relation, columns)):
                role = next(row for row in columns if row["column"] == dict(places)["Role"])
                found = People(relation, places, tuple(role["labels"]), str(logs[0]) if logs else "")
                return found if found.is_plain() else None
    return None


def _places(relation: Relation, columns: Sequence[Facts]) -> tuple[tuple[str, str], ...]:
    """What -> Where, () when the table is something else."""
    names = {row["column"].lower().replace("_", ""): row["column"] for row in columns}
    key = [row["column"] for row in columns if row["is_key"]]
    found = {
        what: names[one.replace("_", "")]
        for what, those in _PLACES.items()
        for one in reversed(those)
        if one.replace("_", "") in names
    }
    if not key or not {"E-mail", "Role"} <= found.keys():
        return ()
    return (("Table", str(relation)), ("Key", key[0]), *((what, found[what]) for what in _PLACES if what in found))
