"""What the database knows of its changes: migrations, restarts, settings, roles, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

from tabsync.kernel.cards import without_cards
from tabsync.kernel.clock import now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.migrations.find import histories
from tabsync.migrations.histories.history import History, State
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync.payments.change import Change, changed, nothing, unknown
from tabsync.profiles.tabsync.payments.look import refusal
from tabsync.profiles.tabsync.payments.safe import without_digits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "changes.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
_KINDS = ("migrations", "server", "settings", "roles", "clock")
OFF = 30.0
"""Seconds from which on a clock is wrong."""


def in_database(workspace: Workspace, since: datetime) -> Iterator[Change]:
    """By the database; each fails alone, and where it does not answer all of it is unknown."""
    try:
        connection = workspace.connect("payments", _LIMITS)
    except TabsyncError as error:
        yield from (unknown(kind, error.fact) for kind in _KINDS)
        return
    with connection:
        yield _migrations(connection, since)
        yield from _server(connection, since)


def _migrations(connection: Connection, since: datetime) -> Change:
    try:
        both, odd = histories(connection, None)
    except (TabsyncError, psycopg.Error) as error:
        return unknown("migrations", told(error))
    found = [one for _, one in both]
    new = sorted(((at, text) for one in found for at, text in _applied(one) if at >= since), reverse=True)
    if new:
        more = f"; and {len(new) - 1} more: tabsync migration status" if len(new) > 1 else ""
        return changed("migrations", new[0][0], f"{new[0][1]}{more}")
    timeless = [one.tool for one in found if not all(each.finished or each.started for each in one.migrations)]
    if odd or timeless or not found:
        why = f"{timeless[0]} notes no times" if timeless else odd[0] if odd else "no tool has a history here"
        return unknown("migrations", without_digits(why))
    return nothing("migrations", f"by the history of {' and '.join(one.tool for one in found)}")


def _applied(history: History) -> Iterator[tuple[datetime, str]]:
    for one in history.migrations:
        when = one.finished or one.started
        if when and one.state is not State.PENDING:
            at = parse_iso(when)
            yield (
                at if at.tzinfo else at.replace(tzinfo=UTC),
                f"{without_cards(in_one_line(one.name))}: {one.state.value}",
            )


def _server(connection: Connection, since: datetime) -> Iterator[Change]:
    before = now()
    try:
        row = _row(connection, "server")
    except psycopg.Error as error:
        yield from (unknown(kind, told(error)) for kind in ("server", "settings", "roles", "clock"))
        return
    middle = before + (now() - before) / 2
    if row["started"] >= since:
        yield changed("server", row["started"], "PostgreSQL was started")
    else:
        yield nothing("server", "PostgreSQL was not restarted")
    yield _settings(connection, row, since)
    yield (
        _roles(connection, since)
        if row["tracks"]
        else unknown("roles", "PostgreSQL notes no times of ALTER ROLE and GRANT (track_commit_timestamp is off)")
    )
    yield clock("clock", (row["at"] - middle).total_seconds(), "the database's clock")


def _settings(connection: Connection, row: Facts, since: datetime) -> Change:
    more = f"; a restart is needed for {', '.join(row['pending'])}" if row["pending"] else ""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(_SQL["file_settings"]).fetchall()
        more += f"; in the files and not in force: {', '.join(str(one['name']) for one in found)}" if found else ""
    except psycopg.Error:  # who may not read the files still sees when they were read
        pass
    # They are read at the start, too: nothing was changed by that.
    if row["loaded"] >= since and row["loaded"] - row["started"] > timedelta(seconds=5):
        return changed("settings", row["loaded"], f"the files of settings were read again{more}")
    return nothing("settings", f"the files of settings were not read again{more}")


def _roles(connection: Connection, since: datetime) -> Change:
    try:
        row = _row(connection, "roles")
    except psycopg.Error as error:
        return unknown("roles", told(error))
    times = {"a setting of a role or a database": row["settings"], "a membership": row["members"]}
    new = sorted(((at, what) for what, at in times.items() if at and at >= since), reverse=True)
    if new:
        return changed("roles", new[0][0], f"{new[0][1]} was changed")
    return nothing("roles", "no setting of a role, and no membership; of passwords nobody notes the time")


def clock(what: str, ahead: float, whose: str) -> Change:
    """A clock against this machine's. ahead: seconds."""
    if abs(ahead) < OFF:
        return nothing(what, f"{whose} and this machine's agree")
    way = "ahead of" if ahead > 0 else "behind"
    return changed(what, None, f"{whose} is {human_seconds(abs(ahead))} {way} this machine's")


def _row(connection: Connection, block: str) -> Facts:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL[block]).fetchone() or {}


def told(error: Exception) -> str:
    """Why something could not be looked at, in one line without values of the database."""
    return without_digits(error.fact) if isinstance(error, TabsyncError) else refusal(error)
