"""tabsync health: does the database answer, and can the manual's key tables be read; each check with its time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.kernel.errors import CannotConnect, Refused
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.postgres.catalog import relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.conninfo import place
from tabsync.postgres.held_table import held_table
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)


def check_health(workspace: Workspace, manual: Manual) -> Facts:
    """Check connectivity and every key table of the manual, each on its own.

    Returns {"healthy", "place", "checks": [{"name", "ok", "seconds", "error"}]}; a table that could not be tried
    because there is no connection is not ok.
    """
    started = time.monotonic()
    checks: list[Facts] = []
    try:
        with workspace.connect("health", _LIMITS) as connection:
            connection.execute("select 1")
            checks.append(_check("database", started))
            checks += [_check_table(connection, table.name) for table in manual.key_tables]
    except CannotConnect as error:
        checks.append(_check("database", started, error.fact, error.hint))
        checks += [_check(table.name, time.monotonic(), "not tried: no connection") for table in manual.key_tables]
    healthy = all(check["ok"] for check in checks)
    return {"healthy": healthy, "place": place(workspace.conninfo), "checks": checks}


def _check_table(connection: Connection, name: str) -> Facts:
    started = time.monotonic()
    try:
        # One row is enough to see that it can be read; counting them all is what makes health checks slow.
        table = relation_named(name)
        with held_table(connection, table):
            connection.execute(sql.SQL("select 1 from {} limit 1").format(table.identifier()))
    except Refused as error:
        return _check(name, started, error.fact, error.hint)
    except psycopg.Error as error:
        fact = error.diag.message_primary or str(error).splitlines()[0]
        return _check(name, started, fact)
    return _check(name, started)


def _check(name: str, started: float, error: str = "", hint: str = "") -> Facts:
    return {"name": name, "ok": not error, "seconds": time.monotonic() - started, "error": error, "hint": hint}
