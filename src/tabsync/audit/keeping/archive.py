"""tabsync audit archive: months that are old enough go to the store, are read back, and leave the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from psycopg.types.json import Jsonb

from tabsync.audit.database.due import due_for_archive, longest_kept
from tabsync.audit.database.locks import WORKING
from tabsync.audit.database.log import log_of
from tabsync.audit.database.schema import settings_of
from tabsync.audit.database.setup import LOOKING
from tabsync.audit.install import audit_of
from tabsync.audit.keeping.archived import drop_month, export_month
from tabsync.kernel import clock
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.manual.load import load
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target
from tabsync.postgres.queries import named
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "archive.sql")


@dataclass(frozen=True, slots=True)
class Archive:
    """What one may ask of audit archive."""

    hold: Annotated[
        str | None, Option("Legal hold: nothing is dropped or masked from now on; why.", metavar="REASON")
    ] = None
    release: Annotated[bool, Option("End the legal hold.")] = False


def plan_archive(workspace: Workspace, request: Archive) -> Planned[Workspace]:
    """Plan to archive the months whose time is over, or to begin or end a legal hold.

    Raises Refused where the log is not installed, or an entry has no seal yet; BadUsage.
    """
    if request.hold is not None and (request.release or not request.hold.strip()):
        raise BadUsage("a legal hold needs a reason, and --release ends it", "tabsync audit archive --help")
    audit = audit_of(load(workspace.manual_path))
    with workspace.connect("audit", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        log = log_of(connection)
        kept = settings_of(connection).get("hold")
        parts = due_for_archive(connection, log, audit)
    if request.hold is not None or request.release:
        return _held(request, target, kept)
    longest = longest_kept(audit)
    if kept:
        notes: tuple[str, ...] = (f"held since {kept['at']}: {kept['reason']}; nothing is dropped",)
        due: list[Facts] = []
    elif longest is None:
        notes, due = ("the manual keeps entries of a table for ever: no month is old enough",), []
    else:
        notes = (f"a month goes {human_seconds(longest.total_seconds())} after its end, as the manual's Kept says",)
        due = parts
    steps = [step for one in due for step in _steps(workspace, log, one, target)]
    title = f"Archive {len(due)} partitions of {log} in {workspace.store().url}"
    return Planned(Plan("audit archive", title, tuple(steps), target, target["database"]), notes)


def show_archive(done: Done[Workspace, Archive]) -> Page:
    """What is in the store now."""
    if held := done.results.get("hold"):
        page = Page("audit archive", held)
        page.line(("HELD", "strong warning") if held["hold"] else ("RELEASED", "strong good"), f": {held['told']}")
        return page
    dropped = [facts for key, facts in sorted(done.results.items()) if key.startswith("drop ")]
    page = Page("audit archive", {"archived": dropped})
    if not dropped:
        page.line(("NOTHING TO ARCHIVE", "strong good"))
        return page
    page.line((f"ARCHIVED {len(dropped)}", "strong good"), f": {sum(one['rows'] for one in dropped):,} entries")
    rows = ((one["part"], f"{one['rows']:,}", human_bytes(one["bytes"]), one["name"]) for one in dropped)
    page.table(
        ("Partition", "Entries", "In the store", "File"), rows, right=("Entries", "In the store"), whole=("File",)
    )
    return page


def hold(context: Context, *, target: Facts, reason: str) -> Facts:
    """Begin a legal hold, or end it: reason ""."""
    with context.workspace.connect("audit", WORKING) as connection:
        prove_target(connection, target)
        if reason:
            connection.execute(_SQL["hold"], {"hold": Jsonb({"reason": reason, "at": iso(clock.now())})})
        else:
            connection.execute(_SQL["release"])
    return {"hold": bool(reason), "told": reason or "months may go, and values may be masked"}


def _held(request: Archive, target: Facts, kept: Any) -> Planned[Workspace]:
    if request.release and not kept:
        raise Refused("there is no legal hold", "to begin one: tabsync audit archive --hold REASON")
    reason = request.hold or ""
    step = Step(
        "hold",
        f"Hold the audit log: {reason}" if reason else "Release the audit log",
        call(hold, target=target, reason=reason),
        "write the setting hold in tabsync_audit.settings",
        Risk.REVERSIBLE,
        "tabsync audit archive --release" if reason else "tabsync audit archive --hold REASON",
        repeatable=True,
    )
    return Planned(Plan("audit archive", step.title, (step,), target))


def _steps(workspace: Workspace, log: Relation, one: Facts, target: Facts) -> tuple[Step, Step]:
    """First it is in the store and read back; then it may go."""
    part = Relation(one["schema"], one["name"])
    until: datetime = one["until"]
    name = f"audit/{subject_of(target)}/{one['name']}-{until:%Y%m%d}"
    given = {"schema": one["schema"], "name": one["name"]}
    claims = (f"audit:{target['database']}",)
    return (
        Step(
            f"export {part}",
            f"Copy {part} into the store, and read it back",
            call(export_month, target=target, part=given, name=name),
            f"copy {part}, in the order of its ids, to {workspace.store().url}/{name}-DIGEST.copy.zst; its manifest",
            Risk.REVERSIBLE,
            "no undo needed: it is a copy",
            repeatable=True,
            claims=claims,
        ),
        Step(
            f"drop {part}",
            f"Drop {part}, entries until {until:%Y-%m-%d}",
            call(drop_month, target=target, part=given, name=name),
            f"alter table {log} detach partition {part}; drop table {part}; note its hashes in tabsync_audit.archives",
            Risk.DESTRUCTIVE,
            "no undo: its entries are in the store, for COPY FROM",
            repeatable=True,
            claims=claims,
        ),
    )
