"""tabsync audit repair: what has drifted is put right, by the functions that install it; the months ahead are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.audit.database import cast_guard, role_install, schema
from tabsync.audit.database.default_rows import move_default
from tabsync.audit.database.indexes import build
from tabsync.audit.database.locks import BUILDING, patiently
from tabsync.audit.database.months import AHEAD
from tabsync.audit.database.partition_log import take_over
from tabsync.audit.database.partitions import attach_months
from tabsync.audit.database.setup import DATABASE, LOOKING, Setup, setup_from_json, setup_of
from tabsync.audit.drift import Drift
from tabsync.audit.install import audit_of, trigger_step
from tabsync.audit.remove import drop_unaudited
from tabsync.audit.status import looked
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.load import load
from tabsync.postgres.catalog import check_primary, identity, prove_target
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_PARTS = {
    "role": ("Take from the role tabsync_audit what it should not have", "alter role tabsync_audit nologin ..."),
    "policy": ("Write down what the manual audits", "write tabsync_audit.tables and roles anew"),
    "functions": ("Create the functions anew", "create or replace function tabsync_audit...."),
    "casts": ("Refuse casts to JSON again", "create event trigger tabsync_audit_cast ...; enable always"),
    "log": ("Give the log to its owner, and let it only grow", "alter table ... owner to; revoke; create trigger ..."),
    "months": (
        f"Create the partitions of {AHEAD} months ahead",
        "create table ... (like ... including all); alter table ... attach partition",
    ),
    "default": (
        "Give the entries of the default partition partitions of their own",
        "in one transaction for each month: create its table, move its entries, attach it",
    ),
    "indexes": (
        "Build the indexes that the log lacks, a partition at a time",
        "create index on only the log; create index concurrently on each partition; alter index ... attach partition",
    ),
    "users": (
        "Guard the roles of users anew",
        "create or replace function tabsync_audit....; create or replace trigger ...; revoke update (...)",
    ),
    "gaps": ("Note the changes that were not recorded as known", "write gaps_known in tabsync_audit.settings"),
}
_ORDER = tuple(_PARTS)


def plan_repair(workspace: Workspace, _request: Nothing) -> Planned[Workspace]:
    """Plan to put right what has drifted; nothing to do is a plan without steps."""
    manual = load(workspace.manual_path)
    with workspace.connect("audit", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        found, _ = looked(connection, manual)
        setup = setup_of(connection, audit_of(manual), manual.users, manual.hierarchy, installed=True)
    parts = [part for part in _ORDER if any(one.part == part for one in found)]
    steps = [_step(part, setup, target, found) for part in parts]
    tables = {one.part.removeprefix("triggers ") for one in found if one.part.startswith("triggers ")}
    at = sum(part in ("role", "policy", "functions") for part in parts)
    steps[at:at] = [trigger_step(one, setup, target) for one in setup.tables if str(one.relation) in tables]
    left = tuple(f"{one.told}: {one.hint}" if one.hint else one.told for one in found if not one.part)
    count = "1 thing" if len(found) - len(left) == 1 else f"{len(found) - len(left)} things"
    return Planned(Plan("audit repair", f"Put {count} right in {target['database']}", tuple(steps), target), left)


def show_repair(done: Done[Workspace, Nothing]) -> Page:
    """What was put right."""
    titles = [step.title for step in done.planned.plan.steps]
    page = Page("audit repair", {"repaired": titles, "results": done.results})
    if not titles:
        page.line(("NOTHING TO REPAIR", "strong good"))
        return page
    page.line(("REPAIRED", "strong good"))
    for title in titles:
        page.line(title)
    page.hint("to look again: tabsync audit status")
    return page


def repair(context: Context, *, target: Facts, setup: Facts, part: str) -> Facts:
    """Put one part right. Raises FailedPartway when a lock does not come."""
    what = setup_from_json(setup)
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        return _REPAIRS[part](connection, what)


def _policy(connection: Connection, setup: Setup) -> Facts:
    with connection.transaction():
        schema.write_policy(connection, setup)
    return {"dropped": drop_unaudited(connection, setup)}


def _take_over(connection: Connection, setup: Setup) -> Facts:
    patiently(connection, f"take {setup.log} over", lambda: take_over(connection, setup))
    return {}


def _gaps(connection: Connection, _setup: Setup) -> Facts:
    connection.execute(DATABASE["know_gaps"])
    return {}


def _role(connection: Connection, _setup: Setup) -> Facts:
    schema.tame(connection)
    return {}


_REPAIRS = {
    "role": _role,
    "policy": _policy,
    "functions": schema.make_functions,
    "casts": cast_guard.install,
    "log": _take_over,
    "months": attach_months,
    "default": move_default,
    "indexes": build,
    "users": role_install.repair,
    "gaps": _gaps,
}


def _step(part: str, setup: Setup, target: Facts, found: list[Drift]) -> Step:
    title, preview = _PARTS[part]
    because = "\n".join(f"-- {one.told}" for one in found if one.part == part)
    return Step(
        part,
        title,
        call(repair, target=target, setup=setup.to_json(), part=part),
        f"{preview}\n{because}",
        Risk.REVERSIBLE,
        "no undo needed: it is what tabsync audit install makes",
        repeatable=True,
        claims=(f"audit:{target['database']}",),
    )
