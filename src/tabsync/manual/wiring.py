"""Which tables are audited and where people are kept: what a manual says of the database's own tables, typed."""

from __future__ import annotations

from datetime import timedelta

from tabsync.manual.parts import Policy


class AuditedTable(Policy):
    """A table whose changes are written down.

    must: a change that can't be written down fails; otherwise it goes on, and the gap is counted. secret: columns whose
    values never reach the log; kept: how long its entries are kept, None for ever; entity: what the log calls one of
    its rows, "" for the table's name.
    """

    name: str
    must: bool
    secret: tuple[str, ...] = ()
    kept: timedelta | None = None
    entity: str = ""
    line: int


class Audit(Policy):
    """The audit log. log: its table, as a manual names tables."""

    log: str
    tables: tuple[AuditedTable, ...]
    line: int

    def table(self, name: str) -> AuditedTable | None:
        """The audited table of a name, as the manual writes it."""
        return next((one for one in self.tables if one.name == name), None)


class UserWiring(Policy):
    """Where the database keeps its users: a table, and its columns; "" for one that it doesn't have.

    disabled: a column that is NULL or false for an account that is in use. sign_up: the roles that an INSERT by anybody
    may give; tenants: a query that gives user_id, tenant and position, a row for each user and tenant.
    """

    table: str
    key: str
    email: str
    password_hash: str = ""
    name: str = ""
    role: str
    verified: str = ""
    disabled: str = ""
    sign_up: tuple[str, ...] = ()
    tenants: str = ""
    tenants_line: int = 0
    line: int
