"""The environment that the command of a deployment gets: its own, with a bound for waiting where it can be passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from tabsync.deployments.environment import RUN, Url, urls_in, waiting, with_options
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import identity
from tabsync.postgres.connect import connect_to_look
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
_PATIENCE = 5  # seconds for a connection


@dataclass(slots=True)
class Prepared:
    """An environment, and in words how far lock_timeout reaches.

    name: by which its sessions are known, "" where others may have it too; passed: the variables that carry it.
    """

    environment: dict[str, str]
    name: str
    passed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def prepared(workspace: Workspace, own: Mapping[str, str], target: Facts, run_id: str, lock: float) -> Prepared:
    """The environment of a command that runs beside us; see with_bound()."""
    return with_bound(own, target, run_id, f"tabsync-guarded-{run_id[-6:]}", lock, workspace.conninfo)


def with_bound(
    own: Mapping[str, str], target: Facts, run_id: str, name: str, lock: float, conninfo: str = ""
) -> Prepared:
    """An environment with a bound for waiting.

    name: the application's name that the sessions are given, where they have none; lock: seconds that a statement may
    wait for a lock, 0 for no bound; conninfo: of the database, to try whether options are taken, where it is known.
    Where a connection string leads to the database, it is tried whether what answers there takes options: some poolers
    refuse the connection.
    """
    given = own.get("PGAPPNAME", "")  # others of the application may have it: then it tells nothing
    found = Prepared(dict(own) | {RUN: run_id, "PGAPPNAME": given or name}, "" if given else name)
    if lock <= 0:
        return found
    milliseconds = round(lock * 1000)
    refused = False
    for url in urls_in(own):
        if not _leads_to(url, target):
            continue
        options = waiting(url.options or own.get("PGOPTIONS", ""), milliseconds)  # those of a URL hide the variable's
        if _takes(url.conninfo, options):
            found.environment[url.name] = with_options(url, options)
            found.passed.append(url.name)
        else:
            refused = True
            found.told.append(
                f"lock_timeout can't be passed by {url.name}: what answers there takes no options (a pooler)"
            )
    if _refuses(own, waiting("", milliseconds)):
        refused = True
        found.told.append("lock_timeout can't be passed by PGOPTIONS: what PGHOST names takes no options (a pooler)")
    if not refused and (found.passed or (conninfo and _takes(conninfo, waiting("", milliseconds)))):
        found.environment["PGOPTIONS"] = waiting(own.get("PGOPTIONS", ""), milliseconds)
        found.passed.append("PGOPTIONS")
    if not [one for one in found.passed if one != "PGOPTIONS"] and not refused:
        found.told.append("no variable holds the database's URL: lock_timeout reaches only what reads PGOPTIONS")
    return found


def _leads_to(url: Url, target: Facts) -> bool:
    """Whether a connection string leads to the database that is looked after, also through a pooler."""
    try:
        connection, first = connect_to_look(url.conninfo, "deployments", _LIMITS)
        with connection:
            for one in first:
                connection.execute(one.encode())
            return subject_of(identity(connection)) == subject_of(target)
    except (TabsyncError, psycopg.Error):
        return False


def _refuses(own: Mapping[str, str], options: str) -> bool:
    """Whether what the variables of libpq lead to lets a session in, and one with options not."""
    if not any(own.get(name) for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE")) or _takes("", options):
        return False
    try:
        psycopg.connect("", application_name="tabsync/deployments", connect_timeout=_PATIENCE).close()
    except psycopg.Error:
        return False
    return True


def _takes(conninfo: str, options: str) -> bool:
    """Whether a session that is opened with options has them."""
    try:
        with psycopg.connect(
            conninfo,
            options=options,
            application_name="tabsync/deployments",
            connect_timeout=_PATIENCE,
            autocommit=True,
        ) as session:
            row = session.execute("show lock_timeout").fetchone()
    except psycopg.Error:
        return False
    return row is not None and row[0] != "0"
