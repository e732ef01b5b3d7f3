"""tabsync audit status: whether every change is recorded, and what is not as it was installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg

from tabsync.audit.database.due import due_for_archive
from tabsync.audit.database.log import NOT_INSTALLED
from tabsync.audit.database.schema import is_installed, settings_of
from tabsync.audit.database.setup import LOOKING, Setup, lacking, setup_of
from tabsync.audit.drift import Drift, counted, drift
from tabsync.audit.install import audit_of
from tabsync.kernel.errors import Exit, NotAllowed, Refused, words_of
from tabsync.kernel.page import Page
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.manual.wiring import Audit
from tabsync.postgres.catalog import identity
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace


def look_status(workspace: Workspace, _request: Nothing) -> Page:
    """What is recorded, and what has drifted. Raises Refused where it is not installed, NotAllowed."""
    manual = load(workspace.manual_path)
    with workspace.connect("audit", LOOKING) as connection:
        facts = identity(connection)
        found, numbers = looked(connection, manual)
    page = Page("audit status", {"database": facts["database"], **numbers, "drift": [_json(one) for one in found]})
    serious = [one for one in found if not one.weak]
    if serious:
        page.line((f"{len(serious)} NOT IN ORDER", "strong bad"), f" in {facts['database']}")
        page.exit_code = Exit.PROBLEM_FOUND
    else:
        told = f": changes of {numbers['tables']} tables of {facts['database']} are recorded"
        page.line(("IN ORDER", "strong good"), told)
    for one in serious:
        page.line((one.told, "bad"), f": {one.hint}" if one.hint else "")
    for one in found:
        if one.weak:
            page.note(one.told)
    gaps = f"{numbers['gaps']:,} changes could not be recorded" if numbers["gaps"] else "no change was left unrecorded"
    page.line(f"{gaps}; {numbers['months_ahead']} months ahead have a partition")
    if any(one.part for one in found):
        page.hint("to put it right: tabsync audit repair")
    return page


def looked(connection: Connection, manual: Manual) -> tuple[list[Drift], Facts]:
    """The drift, and the numbers of the log. Raises Refused where it is not installed, NotAllowed."""
    audit = audit_of(manual)
    setup = setup_of(connection, audit, manual.users, manual.hierarchy, installed=True)
    try:
        if not is_installed(connection):
            raise Refused("the audit log is not installed in this database", NOT_INSTALLED)
        found = [*_renamed(connection, audit), *drift(connection, setup), *_old(connection, setup, audit)]
        return found, counted(connection, setup) | {"tables": len(setup.tables)}
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(
            f"what is installed of the audit log is not visible to this role: {words_of(error)}",
            "use the role that installed it, or a superuser",
        ) from None


def _old(connection: Connection, setup: Setup, audit: Audit) -> Iterator[Drift]:
    """What an archive would move, also one that was ended before it was done."""
    old = due_for_archive(connection, setup.log, audit)
    if old and not settings_of(connection).get("hold"):
        count = "1 partition of the log is" if len(old) == 1 else f"{len(old)} partitions of the log are"
        yield Drift(
            f"{count} older than the manual keeps entries; to move to the store: tabsync audit archive", weak=True
        )


def _renamed(connection: Connection, audit: Audit) -> Iterator[Drift]:
    """What the manual names, and the database doesn't have any more."""
    for told, follows, hint in lacking(connection, audit):
        told = f"{told}: {follows}" if follows else told
        yield Drift(told, "", f"{hint}, then: tabsync audit repair")


def _json(one: Drift) -> Facts:
    return {"told": one.told, "part": one.part, "hint": one.hint, "weak": one.weak}
