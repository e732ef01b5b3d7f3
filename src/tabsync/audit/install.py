"""tabsync audit install: what the log needs in the database, made step by step, each of which may run again."""

from __future__ import annotations

from collections.abc import Callable

from tabsync.audit import partition_log, schema, triggers
from tabsync.audit.setup import Setup, setup_of
from tabsync.kernel.step import Facts
from tabsync.manual.model import Hierarchy
from tabsync.manual.wiring import Audit, UserWiring
from tabsync.postgres.connect import Connection

STEPS: tuple[tuple[str, Callable[[Connection, Setup], Facts]], ...] = (
    ("role", schema.make_role),
    ("tables", schema.make_tables),
    ("columns", partition_log.prepare),
    ("functions", schema.make_functions),
    ("bound", partition_log.bound),
    ("indexes", partition_log.index),
    ("partition", partition_log.turn),
)
"""What is done to the log, in this order; then come the triggers of one table after another."""


def install_for_tests(connection: Connection, audit: Audit, users: UserWiring | None, hierarchy: Hierarchy) -> Setup:
    """Install it all at once, by the functions that the steps of the command call.

    connection: in autocommit, as connect() gives it.
    """
    setup = setup_of(connection, audit, users, hierarchy)
    for _, work in STEPS:
        work(connection, setup)
    for one in setup.tables:
        triggers.set_triggers(connection, setup, one)
    return setup
