"""/plans: a plan is made, shown, and run as it was shown."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.access import Admin, AdminPost
from tabsync.console.render import page
from tabsync.console.state import Console, console_of
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.manual.load import load
from tabsync.workspace import Workspace

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a form asks for. name: of the new database, "" for one that is made up; tables: which; reason: of a hold;
    where: the condition of rows; run: the one that compared them."""

    backup: str = ""
    name: str = ""
    tables: tuple[str, ...] = ()
    reason: str = ""
    where: str = ""
    run: str = ""
    no_owner: bool = False
    with_dependents: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the words of its command, and what it leaves out or brings along. scratch: where it compares rows;
    workspace: to run it in, when it isn't the console's own."""

    plan: Plan
    command: Sequence[str]
    notes: tuple[str, ...] = ()
    scratch: str = ""
    workspace: Workspace | None = None


@router.post("/plans")
def make(
    session: AdminPost,
    console: Annotated[Console, Depends(console_of)],
    procedure: Annotated[str, Form()],
    backup: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    tables: Annotated[tuple[str, ...], Form()] = (),
    reason: Annotated[str, Form()] = "",
    where: Annotated[str, Form()] = "",
    run: Annotated[str, Form()] = "",
    no_owner: Annotated[bool, Form()] = False,
    with_dependents: Annotated[bool, Form()] = False,
    replace: Annotated[bool, Form()] = False,
) -> Response:
    """Make a plan: it only reads. backup: of which a drill is wanted; "" takes a new one first."""
    if procedure not in _PLANS:
        raise BadUsage(f"the console can't start {procedure!r}", f"it can start: {', '.join(_PLANS)}")
    wish = Wish(
        backup.strip(), name.strip(), tables, reason.strip(), where.strip(), run, no_owner, with_dependents, replace
    )
    made = _PLANS[procedure](console.workspace, wish)
    if made.scratch:
        console.worker.comparing(made.scratch)
    command = shlex.join(["tabsync", *made.command])
    digest = console.worker.show(made.plan, session.operator.name, command, made.notes, made.workspace)
    return RedirectResponse(f"/plans/{digest}", 303)


@router.get("/plans/{digest}")
def show(digest: str, request: Request, session: Admin, console: Annotated[Console, Depends(console_of)]) -> Response:
    """What would run, step by step."""
    shown = console.worker.shown(digest, session.operator.name)
    return page(request, "plan.html", plan=shown.plan.to_json(), shown=shown, digest=digest)


@router.post("/plans/{digest}/run")
def run(
    digest: str,
    session: AdminPost,
    console: Annotated[Console, Depends(console_of)],
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Run the plan of that digest, which is the one that was shown; no other can be named."""
    return RedirectResponse(f"/runs/{console.worker.start(digest, session.operator.name, typed)}", 303)


def _drill(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.drill.drill import plan_drill

    plan = plan_drill(workspace, load(workspace.manual_path), wish.backup or None)
    return Planned(plan, ["drill", *(["--backup", wish.backup] if wish.backup else [])])


def _monthly(workspace: Workspace, _: Wish) -> Planned:
    from tabsync.backups.drill.monthly import plan_monthly

    made = plan_monthly(workspace, load(workspace.manual_path))
    return Planned(made.plan, ["drill", "monthly"], made.notes, workspace=made.workspace)


def _take_full(workspace: Workspace, _: Wish) -> Planned:
    from tabsync.backups.take import plan_take_full

    return Planned(plan_take_full(workspace), ["backup", "take", "full"])


def _verify(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.verify import chosen, plan_verify

    return Planned(plan_verify(workspace, chosen(workspace, wish.backup)), ["backup", "verify", wish.backup])


def _hold(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.hold import plan_hold

    given = ["--reason", wish.reason] if wish.reason else []
    return Planned(plan_hold(workspace, wish.backup, wish.reason), ["backup", "hold", wish.backup, *given])


def _release(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.hold import plan_release

    return Planned(plan_release(workspace, wish.backup), ["backup", "release", wish.backup])


def _restore_new(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.restore.new import plan_restore_new

    plan = plan_restore_new(workspace, wish.backup, wish.name or None, no_owner=wish.no_owner)
    return Planned(plan, ["restore", "new", "--from", wish.backup, *_options(wish, "--as")])


def _restore_tables(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.restore.tables import plan_restore_tables

    if not wish.tables:
        raise BadUsage("no table was chosen", "go back and tick at least one")
    plan, selection = plan_restore_tables(
        workspace, wish.tables, wish.backup, wish.name or None, no_owner=wish.no_owner
    )
    notes = [f"left out: {one}" for one in selection.left_out]
    notes += [f"included without rows: {one}" for one in selection.brought]
    command = ["restore", "tables", *wish.tables, "--from", wish.backup, *_options(wish, "--into")]
    return Planned(plan, command, tuple(notes))


def _compare_rows(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.restore.rows.restore import plan_compare_rows
    from tabsync.console.rows import command_of

    table = wish.tables[0] if wish.tables else ""
    plan, _, scratch = plan_compare_rows(
        workspace, table, wish.where, wish.backup, with_dependents=wish.with_dependents
    )
    return Planned(plan, [*command_of(plan.to_json()), "--dry-run"], scratch=scratch)


def _write_rows(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.restore.rows.restore import plan_write_rows
    from tabsync.console.rows import command_of, difference_of
    from tabsync.ledger.runs import one_run

    found = difference_of(workspace, wish.run)
    compared = one_run(workspace.ledger(), found.run_id) or {}
    command = [*command_of(compared["plan"]), *(["--replace"] if wish.replace else [])]
    plan = plan_write_rows(workspace, found, replace=wish.replace)
    return Planned(plan, [*command, "--expect", found.facts["digest"][:12]])


def _restore_in_place(workspace: Workspace, wish: Wish) -> Planned:
    from tabsync.backups.restore.in_place import plan_restore_in_place

    plan = plan_restore_in_place(workspace, wish.backup, no_owner=wish.no_owner)
    return Planned(plan, ["restore", "in-place", "--from", wish.backup, *_options(wish, "--as")])


def _options(wish: Wish, name: str) -> list[str]:
    return ([name, wish.name] if wish.name else []) + (["--no-owner"] if wish.no_owner else [])


_PLANS: Mapping[str, Callable[[Workspace, Wish], Planned]] = {
    "drill": _drill,
    "drill monthly": _monthly,
    "backup take full": _take_full,
    "backup verify": _verify,
    "backup hold": _hold,
    "backup release": _release,
    "restore new": _restore_new,
    "restore tables": _restore_tables,
    "restore rows": _compare_rows,
    "restore rows, written": _write_rows,
    "restore in-place": _restore_in_place,
}
"""What the console can start: by the name of its command, how its plan is made."""
