"""All procedures, of all chapters; and how one is started, whoever asks: the console, the schedule, the API."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tabsync.app.procedures import GROUPS as APP_GROUPS
from tabsync.app.procedures import PROCEDURES as APP
from tabsync.audit.procedures import GROUPS as AUDIT_GROUPS
from tabsync.audit.procedures import PROCEDURES as AUDIT
from tabsync.backups.procedures import GROUPS as BACKUP_GROUPS
from tabsync.backups.procedures import PROCEDURES as BACKUPS
from tabsync.bookkeeping.procedures import GROUPS as LEDGER_GROUPS
from tabsync.bookkeeping.procedures import PROCEDURES as LEDGER
from tabsync.incidents.procedures import GROUPS as INCIDENT_GROUPS
from tabsync.incidents.procedures import PROCEDURES as INCIDENTS
from tabsync.init.procedures import PROCEDURES as INIT
from tabsync.kernel.procedure import Done, Group, Planned, Procedure, Surface, named, planned
from tabsync.maintenance.procedures import GROUPS as MAINTENANCE_GROUPS
from tabsync.maintenance.procedures import PROCEDURES as MAINTENANCE
from tabsync.migrations.procedures import GROUPS as MIGRATION_GROUPS
from tabsync.migrations.procedures import PROCEDURES as MIGRATIONS
from tabsync.monitoring.procedures import GROUPS as MONITORING_GROUPS
from tabsync.monitoring.procedures import PROCEDURES as MONITORING
from tabsync.procedures.own import GROUPS as OWN_GROUPS
from tabsync.procedures.own import PROCEDURES as OWN
from tabsync.procedures.runbooks import GROUPS as RUNBOOK_GROUPS
from tabsync.procedures.runbooks import PROCEDURES as RUNBOOKS
from tabsync.procedures.scheduled import GROUPS as SCHEDULE_GROUPS
from tabsync.procedures.scheduled import PROCEDURES as SCHEDULED
from tabsync.sessions.procedures import GROUPS as SESSION_GROUPS
from tabsync.sessions.procedures import PROCEDURES as SESSIONS
from tabsync.users.procedures import GROUPS as USER_GROUPS
from tabsync.users.procedures import PROCEDURES as USERS

if TYPE_CHECKING:
    from tabsync.kernel.page import Page
    from tabsync.kernel.profile import Profile
    from tabsync.kernel.runner import Listener
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

GROUPS: tuple[Group, ...] = (
    *MONITORING_GROUPS,
    *SESSION_GROUPS,
    *MAINTENANCE_GROUPS,
    *APP_GROUPS,
    *AUDIT_GROUPS,
    *USER_GROUPS,
    *MIGRATION_GROUPS,
    *RUNBOOK_GROUPS,
    *INCIDENT_GROUPS,
    *BACKUP_GROUPS,
    *SCHEDULE_GROUPS,
    *LEDGER_GROUPS,
    *OWN_GROUPS,
)
PROCEDURES: tuple[Procedure, ...] = (
    *MONITORING,
    *SESSIONS,
    *MAINTENANCE,
    *APP,
    *AUDIT,
    *USERS,
    *MIGRATIONS,
    *RUNBOOKS,
    *INCIDENTS,
    *BACKUPS,
    *SCHEDULED,
    *LEDGER,
    *OWN,
    *INIT,
)
_BY_WORDS = {one.words: one for one in PROCEDURES}
_FIRST_WORDS = {words.split()[0] for words in (*(one.words for one in GROUPS), *_BY_WORDS)}
"""Nobody else's command begins with one of these: `backup steal` would look like ours."""

_in_use: list[Profile] = []


def is_ours(word: str) -> bool:
    """Whether commands of ours begin with a word."""
    return word in _FIRST_WORDS


def use(profile: Profile | None) -> None:
    """From now on this process also knows what a profile declares; None: no profile's. It has one at a time."""
    _in_use[:] = [profile] if profile else []


def all_procedures() -> tuple[Procedure, ...]:
    """Those of the chapters, and those of the profile that is in use, which can't begin with a word of ours."""
    own = (one for profile in _in_use for one in profile.procedures)
    return (*PROCEDURES, *(one for one in own if one.words.split()[0] not in _FIRST_WORDS))


def all_groups() -> tuple[Group, ...]:
    """The groups of commands, the profile's first: they are what the people of this database ask for."""
    own = (one for profile in _in_use for one in profile.groups)
    return (*(one for one in own if one.words.split()[0] not in _FIRST_WORDS), *GROUPS)


def game_days_in_use() -> tuple[str, ...]:
    """The game days that the profile in use brings, each as "package.module:name"."""
    return tuple(one for profile in _in_use for one in profile.game_days)


def find(words: str) -> Procedure | None:
    """The procedure of some words, "backup take"; None when there is none."""
    return _BY_WORDS.get(words) or next((one for one in all_procedures() if one.words == words), None)


def named_in(words: Sequence[str]) -> tuple[Procedure, Sequence[str]] | None:
    """The procedure that some words name, and what is left for it; None when this version has none."""
    for count in range(len(words), 0, -1):
        procedure = find(" ".join(words[:count]))
        if procedure is not None and Surface.CLI in procedure.surfaces:
            rest = words[count:]
            stray = rest and rest[0][:1] != "-" and not any(one.positional for one in procedure.fields)
            return None if stray else (procedure, rest)  # `drill nightly` is not built, as `drill` takes no argument
    return None


def is_built(words: Sequence[str]) -> bool:
    """Whether this version has the command that some words name."""
    return named_in(words) is not None


def on(surface: Surface) -> list[Procedure]:
    """The procedures that can be started from a surface."""
    return [one for one in all_procedures() if surface in one.surfaces]


def request_of(procedure: Procedure, values: dict[str, Any], outside: Workspace | None = None) -> Any:
    """A request from a form, a manual or a JSON document.

    values: by the names of its fields, as text or JSON; outside: the workspace, where somebody asks who has no shell on
    this machine (see requests.parse). Raises BadUsage, naming what is wrong.
    """
    from tabsync.procedures.requests import parse

    return parse(procedure, values, [name for name, _ in outside.stores] if outside else None)


def prepare(procedure: Procedure, workspace: Workspace, request: Any) -> Planned[Workspace]:
    """Plan a procedure: it only reads. Raises what stops it before anything is changed."""
    made: Planned[Workspace] = planned(procedure, request, named(procedure.plan)(workspace, request))
    return made


def carry_out(
    procedure: Procedure,
    workspace: Workspace,
    request: Any,
    made: Planned[Workspace],
    listener: Listener | None = None,
    *,
    approval: str = "not needed",
) -> Done[Workspace, Any]:
    """Run what was planned, without a word. approval: how it was approved; see kernel.plan.check_approval.

    The outcome says what stopped it, if anything did.
    """
    from tabsync.kernel.runner import run

    where = made.workspace or workspace
    runs = made.plan.steps and not made.only_look
    outcome = run(made.plan, where, where.journal(), listener, approval=approval) if runs else None
    return after(procedure, Done(where, request, made, outcome))


def start(workspace: Workspace, words: str, values: dict[str, Any], *, approval: str = "") -> Done[Workspace, Any]:
    """Plan and run a procedure by its words, as a schedule or a runbook does; nothing is printed.

    values: by the names of the request's fields; approval: by whom a destructive plan was approved beforehand.
    Raises BadUsage when there is no such procedure or request, Refused when its plan is destructive and not approved.
    """
    from tabsync.kernel.errors import BadUsage, Refused

    procedure = find(words)
    if procedure is None or not procedure.plan:
        raise BadUsage(f"{words!r} can't be started", "to list the procedures: tabsync procedures")
    request = request_of(procedure, values)
    made = prepare(procedure, workspace, request)
    try:
        if made.plan.risk.value == "destructive" and not (approval or made.only_look):
            raise Refused(
                f"{words} is destructive and was not approved", "run it on the command line, or in the console"
            )
        return carry_out(procedure, workspace, request, made, approval=approval or "not needed")
    finally:
        if made.done:
            made.done()


def page_of(workspace: Workspace, run: Facts) -> Page | None:
    """The page of a run that ended, as its procedure shows it; None when it can't be shown from what was recorded.

    run: as ledger.runs.one_run gives it.
    """
    from tabsync.kernel.errors import FailedPartway, TabsyncError
    from tabsync.kernel.runner import Outcome
    from tabsync.ledger.runs import plan_of

    plan = plan_of(run)
    found = named_in(run["procedure"].split())
    procedure = find(plan.request.get("procedure", "")) or (found[0] if found else None)
    if procedure is None or not procedure.show or not (procedure.shows_failure or run["state"] == "done"):
        return None
    steps = {one["key"]: one for one in run["steps"]}
    failed = next((one for one in run["steps"] if one["state"] == "failed"), None)
    outcome = Outcome(
        run["id"],
        {key: one["facts"] for key, one in steps.items() if one["state"] == "done"},
        {key: one["seconds"] for key, one in steps.items() if one["seconds"] is not None},
        FailedPartway(failed["fact"], failed["hint"] or "") if failed else None,
        failed["key"] if failed else "",
    )
    try:
        request = request_of(procedure, plan.request["values"]) if plan.request else _unknown(procedure)
        page: Page = named(procedure.show)(Done(workspace, request, Planned(plan), outcome))
        _ = page.headline  # what could not be drawn is not shown
    except (TabsyncError, LookupError, TypeError, ValueError, AttributeError):
        return None  # it failed before there was anything to show, or what it shows is gone
    return page


def _unknown(procedure: Procedure) -> SimpleNamespace:
    """The request of a run of an earlier version, which did not record it."""
    return SimpleNamespace(**{one.name: one.default for one in procedure.fields})


def after(procedure: Procedure, done: Done[Workspace, Any]) -> Done[Workspace, Any]:
    """Do what belongs to a procedure when it has run, whoever started it."""
    if not procedure.after:
        return done
    return Done(done.workspace, done.request, done.planned, done.outcome, named(procedure.after)(done))
