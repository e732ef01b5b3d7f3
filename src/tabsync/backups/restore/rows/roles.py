"""Roles of the application's users, when rows come back: one that is there keeps its role, and the last one stays.

Roles are changed by `tabsync user promote` and `demote` (decision 0035), so no restore of rows changes one. A deleted
user comes back with the role of before, which is said before, and is entered in the audit log with who did it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from tabsync.audit.database.log import log_of
from tabsync.backups.restore.rows.as_owner import write
from tabsync.backups.restore.rows.refused import NOTHING
from tabsync.backups.restore.rows.shape import Shape, shape_of
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SQL = named(__package__, "roles.sql")
CHANGE_IT = "tabsync user promote, or demote"
NOT_ENTERED = "roles came back, and the audit log has only the login for it: this role may not write who did it there"


@dataclass(frozen=True, slots=True)
class Guarded:
    """The table of the users whose roles are guarded. top: the roles above which there is none; entity: what the audit
    log calls one of its rows.
    """

    relation: Relation
    wiring: UserWiring
    top: tuple[str, ...]
    entity: str

    def stays(self, here: Shape) -> tuple[str, ...]:
        """The columns that a row which is there keeps: its role, and the key by which it has it."""
        if here.relation != self.relation:
            return ()
        return tuple(one for one in (self.wiring.role, self.wiring.key) if one not in here.key)

    def raised(self, role: str | None) -> bool:
        """Whether nobody gets a role by signing up."""
        return role is not None and role not in self.wiring.sign_up


def guarded_of(workspace: Workspace) -> Guarded | None:
    """The users by the manual, None where it says nothing of them. Raises BadUsage for a manual that can't be read."""
    manual = load(workspace.manual_path)
    if manual.users is None:
        return None
    relation, names = relation_named(manual.users.table), manual.hierarchy.names()
    top = tuple(one for one in names if not any(manual.hierarchy.above(other, one) for other in names))
    table = manual.audit.table(manual.users.table) if manual.audit else None
    return Guarded(relation, manual.users, top, table.entity if table and table.entity else relation.name)


def secret_columns(workspace: Workspace) -> dict[Relation, frozenset[str]]:
    """The columns whose values nobody is shown, by the manual's section Audit."""
    audit = load(workspace.manual_path).audit
    return {relation_named(one.name): frozenset(one.secret) for one in audit.tables} if audit else {}


def notes_on(stays: Mapping[str, int], given: Mapping[str, int], role: str) -> Iterator[str]:
    """What a person must know of roles before rows are written. stays: rows by column; given: rows by role."""
    for name, count in stays.items():
        how = f"; to change it: {CHANGE_IT}" if name == role else ""
        yield f"{name} stays as it is in {count:,} rows{how}"
    for name, count in given.items():
        yield f"THE ROLE {name} COMES BACK with {count:,} missing rows; no check of tabsync user promote is made"


def told_of(tables: Sequence[Facts]) -> str:
    """The roles that come back with missing rows, for a plan; "" for none."""
    given = {name: count for one in tables for name, count in one.get("roles_given", {}).items()}
    return ", ".join(f"{count:,} with the role {name}" for name, count in given.items())


class LastOnes:
    """Sees that a write leaves somebody with each top role that somebody had, whose account is in use."""

    def __init__(self, live: Connection, guarded: Guarded | None, written: Sequence[Shape]) -> None:
        """Lock those who have one. written: the tables that are written to."""
        self._live, self._guarded = live, guarded
        here = next((one for one in written if guarded and one.relation == guarded.relation), None)
        there = {one.name for one in here.columns} if here else set()
        self._looks = guarded is not None and {guarded.wiring.role, guarded.wiring.key} <= there
        self._before = self._in_use(lock=True)

    def check(self) -> None:
        """Raises Refused when the last one would be gone."""
        after = self._in_use()
        for role in self._before:
            if role not in after:
                raise Refused(
                    f"this would leave nobody with the role {role} whose account is in use; {NOTHING}",
                    f"give it to another user first: {CHANGE_IT}",
                )

    def _in_use(self, *, lock: bool = False) -> dict[str, int]:
        if self._guarded is None or not self._looks:
            return {}
        wiring = self._guarded.wiring
        off = sql.SQL("(u.{}::text <> 'false')").format(sql.Identifier(wiring.disabled))
        parts: dict[str, sql.Composable] = {
            "users": self._guarded.relation.identifier(),
            "role": sql.Identifier(wiring.role),
            "key": sql.Identifier(wiring.key),
            "off": off if wiring.disabled else sql.SQL("false"),
        }
        values = {"top": list(self._guarded.top)}
        if lock:
            self._live.execute(sql.SQL(SQL["lock_holders"]).format(**parts), values)
        found = self._live.execute(sql.SQL(SQL["in_use"]).format(**parts), values).fetchall()
        return {str(role): int(count) for role, count in found}


def enter(live: Connection, guarded: Guarded, given: Sequence[tuple[str, str]], actor: str, run: str) -> bool:
    """Write an entry for each user who came back with a role: (key, role). False where there is no log to write to."""
    try:
        log = log_of(live)
    except (Refused, NotAllowed):
        return False
    name = log.identifier().as_string(live)
    allowed = live.execute(SQL["may_enter"], {"log": name}).fetchone() == (True,)
    here = shape_of(live, log) if allowed else None
    if here is None:
        return False
    statement = sql.SQL(SQL["entry"]).format(
        log=log.identifier(),
        entity=sql.Literal(guarded.entity),
        table=sql.Literal(str(guarded.relation)),
        actor=sql.Literal(actor),
        reason=sql.Literal(f"restore rows, run {run}"),
        keys=sql.Literal([key for key, _ in given]),
        roles=sql.Literal([role for _, role in given]),
    )
    return write(live, [statement], [here]) == [len(given)]
