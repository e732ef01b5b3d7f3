"""tabsync restore managed: have Supabase restore the project, in place, to a point in time.

There is no way back from it but a backup, so one of ours is taken first. Supabase takes the request and restores by
itself; a process of ours that dies while it waits changes nothing about that, and the run's record says so.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.backups.provider import project_of, window_of
from tabsync.backups.take import plan_take_full
from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.errors import BadUsage, CannotConnect, FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_seconds
from tabsync.postgres.queries import named
from tabsync.providers.supabase import FAILED, HEALTHY, Project, open_project

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

SQL = named(__package__, "managed.sql")

POLL = 10.0
"""Seconds between two looks at the project while it restores."""

BEGINS = 600.0
"""Seconds within which a restore that was taken shows in the project's state."""

ENDS = 12 * 3600.0
"""Seconds after which we stop waiting; Supabase doesn't stop restoring then."""

_HERE = "tabsync.backups.restore.managed"
_LOOK = "look at the project's page at Supabase: the state of its data is unknown here"


def parse_moment(text: str) -> datetime:
    """A moment as a person types it, ISO 8601; without an offset it is local time. Raises BadUsage."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise BadUsage(f"{text!r} is not a timestamp", "write it as 2026-11-22T18:15:00-03:00") from None


def plan_restore_managed(workspace: Workspace, moment: datetime, *, backup_first: bool = True) -> Plan:
    """Plan to have the provider restore the database to a moment.

    backup_first: take a full backup before; without it only when the database can't be read any more.
    Raises Refused when the moment is outside the window, the project is not well, or something is in the way;
    BadUsage when the database isn't a provider's; what asking the provider raises. Nothing is changed.
    """
    project = _project(workspace)
    window = _window(project)
    _refuse_outside(moment, window)
    if (status := project.status()) != HEALTHY:
        raise Refused(f"project {project.ref} is {status}, not {HEALTHY}", f"wait until it is {HEALTHY}")
    safety: tuple[Step, ...] = ()
    target: Facts = {"database": f"project {project.ref}"}
    if backup_first:
        _refuse_in_the_way(workspace)
        taking = plan_take_full(workspace, reason="emergency")
        safety, target = taking.steps, taking.target
    target = target | {"project": project.ref}
    return Plan(
        procedure="restore managed",
        title=f"Let Supabase restore project {project.ref}, in place, to {_both(moment)}",
        target=target,
        confirm=project.ref,
        steps=(*safety, *_steps(project, moment, window, str(target["database"]), backup_first=backup_first)),
    )


def _steps(project: Project, moment: datetime, window: Facts, database: str, *, backup_first: bool) -> list[Step]:
    given = {"project": project.ref, "moment": iso(moment)}
    way_back = (
        "the backup that is taken before it contains the data as it was"
        if backup_first
        else "no backup is taken before it"
    )
    seconds = int(moment.timestamp())
    return [
        Step(
            "request",
            f"Ask Supabase to restore, in place, to {_both(moment)}",
            call(request, **given, backup_first=backup_first),
            f"POST {project.url}/v1/projects/{project.ref}/database/backups/restore-pitr"
            f' {{"recovery_time_target_unix": {seconds}}}; the window was {window["earliest"][:19]}'
            f" to {window['latest'][:19]} UTC",
            Risk.DESTRUCTIVE,
            f"no undo: what was committed after that time is lost from the project; {way_back}",
            claims=(f"database:{database}",),
        ),
        Step(
            "wait",
            "Wait until the project is healthy again",
            call(wait, **given),
            f"GET {project.url}/v1/projects/{project.ref} every {human_seconds(POLL)}, until it is {HEALTHY}",
        ),
        Step("answer", "Check that the database accepts connections", call(answer), "connect, and select 1"),
    ]


def request(context: Context, *, project: str, moment: str, backup_first: bool) -> Facts:
    """Ask for the restore, after a last look. Raises Refused when the window moved past the moment meanwhile."""
    one, when = _opened(context.workspace, project), parse_iso(moment)
    _refuse_outside(when, _window(one))
    if backup_first and "commit" not in context.results:
        raise Refused("the backup before the restore was not taken", "run it again")
    one.restore(when)
    return {"project": project, "moment": moment, "monotonic": time.monotonic()}


def wait(context: Context, *, project: str, moment: str) -> Facts:
    """Wait until the project has begun to restore, and then until it is healthy again.

    That it still looks healthy right after the request says nothing. Answers that don't come are waited for too.
    Raises FailedPartway when the restore failed, did not begin, or takes longer than anybody waits.
    """
    one = _opened(context.workspace, project)
    begun = context.results["request"]["monotonic"]
    states: list[str] = []
    while True:
        state = _state(one)
        if state and (not states or states[-1] != state):
            states.append(state)
        seconds = time.monotonic() - begun
        away = any(seen != HEALTHY for seen in states)
        if state in FAILED:
            raise FailedPartway(f"Supabase's restore of project {project} ended in {state}", "support@supabase.com")
        if state == HEALTHY and away:
            return {"project": project, "moment": moment, "seconds": seconds, "states": states}
        if not away and seconds > BEGINS:
            raise FailedPartway(
                f"Supabase accepted the request but has not started the restore for {human_seconds(seconds)}", _LOOK
            )
        if seconds > ENDS:
            raise FailedPartway(
                f"project {project} is {state or 'in an unknown state'} after {human_seconds(seconds)}", _LOOK
            )
        context.report(seconds, ENDS, "seconds")
        time.sleep(POLL)


def answer(context: Context) -> Facts:
    """Connect to the database and ask it something. Raises CannotConnect when it doesn't answer yet."""
    with context.workspace.connect("restore") as connection:
        connection.execute("select 1")
    return {"answers": True}


def _project(workspace: Workspace) -> Project:
    ref = project_of(workspace)
    if ref is None:
        raise BadUsage(
            "tabsync does not know this database's provider",
            'set provider = "supabase" and project = "..." in tabsync.toml; self-hosted: tabsync restore to-time',
        )
    return open_project(ref)


def _opened(workspace: Workspace, project: str) -> Project:
    if project_of(workspace) != project:
        raise Refused(f"the database does not belong to project {project} any more", "run the command again")
    return open_project(project)


def _window(project: Project) -> Facts:
    kept = project.protection()
    window = window_of(kept)
    if window is None:
        raise Refused(
            f"project {project.ref} has no point-in-time recovery",
            "restore one of its daily snapshots on its page at Supabase, or a backup of TabSync: tabsync restore new",
        )
    return window


def _refuse_outside(moment: datetime, window: Facts) -> None:
    earliest, latest = (parse_iso(window[which]) for which in ("earliest", "latest"))
    if not earliest <= moment <= latest:
        raise Refused(
            f"{_both(moment)} is outside the window",
            f"the window is from {_both(earliest)} to {_both(latest)}",
        )


def _refuse_in_the_way(workspace: Workspace) -> None:
    with workspace.connect("restore") as connection:
        found = [str(row[0]) for row in connection.execute(SQL["in_the_way"])]
    if found:
        raise Refused(
            f"Supabase can't restore while this exists: {', '.join(found)}",
            "drop it, and create it again after the restore",
        )


def _state(project: Project) -> str:
    try:
        return replace(project, attempts=1).status()
    except CannotConnect:
        return ""


def _both(moment: datetime) -> str:
    """A moment in local time and in UTC."""
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S %z} ({iso(moment)[:19].replace('T', ' ')} UTC)"
