"""/runbooks: what to do about a condition, gone through step by step, also on a phone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import ResponderPost, Viewer, ViewerPost, sent_form
from tabsync.console.base.guiding import Answer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.page import Page, page_of_blocks
from tabsync.kernel.step import Facts
from tabsync.ledger.operators import Session, may
from tabsync.ledger.runs import recent_runs
from tabsync.manual.load import read
from tabsync.manual.model import Runbook
from tabsync.runbooks.begin import alert_facts
from tabsync.runbooks.find import Find, look_find
from tabsync.runbooks.guide import Guide, runbook_named, watch
from tabsync.runbooks.parent import WORDS
from tabsync.runbooks.show import copied

router = APIRouter()

STOP_POLLING = 286
"""Tells htmx that this answer is the last one: https://htmx.org/docs/#polling"""

_RUNS = 50


@router.get("/runbooks")
def all_of_them(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The runbooks of the manual, and the runs that are open."""
    manual, _problems = read(console.workspace.manual_path)
    runs = [one for one in recent_runs(console.ledger, _RUNS, WORDS) if one["state"] == "open"]
    return page(request, "runbooks.html", runbooks=manual.runbooks, runs=runs)


@router.post("/runbooks/find")
def find(
    request: Request, _: ViewerPost, console: Annotated[Console, Depends(console_of)], text: Annotated[str, Form()] = ""
) -> Response:
    """Which runbooks fit a message that somebody has pasted."""
    found = look_find(console.workspace, Find(text))
    manual, _problems = read(console.workspace.manual_path)
    fits = dict.fromkeys(str(title) for one in found.data["fits"] if (title := one.get("runbook")))
    titles = [title for title in fits if manual.runbook(title)]
    return page(request, "runbook_found.html", found=found, titles=titles, text=text)


@router.get("/runbooks/{title:path}")
def one(
    title: str, request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)], alert: str = ""
) -> Response:
    """One runbook, each step as it can be copied."""
    found = _named(console, title)
    runs = [one for one in recent_runs(console.ledger, _RUNS, WORDS) if one["title"] == found.title]
    steps = [(step, copied(step)) for step in found.steps]
    return page(request, "runbook.html", one=found, steps=steps, runs=runs[:10], alert=alert)


@router.post("/runbooks/{title:path}/run")
def run(
    title: str,
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    alert: Annotated[str, Form()] = "",
) -> Response:
    """Begin to run it: what only looks is done at once."""
    found = _named(console, title)
    facts = alert_facts(console.workspace, alert)
    begun = console.guides.begin(found.title, session.operator.name, alert, facts)
    return RedirectResponse(f"/runbook-runs/{begun}", 303)


@router.get("/runbook-runs/{run_id}")
def show(run_id: str, request: Request, session: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """One run: its steps, what they showed, and what it waits for."""
    return page(request, "runbook_run.html", **_context(console, run_id, session))


@router.get("/runbook-runs/{run_id}/steps")
def steps(
    run_id: str, request: Request, session: Viewer, console: Annotated[Console, Depends(console_of)], seen: str = ""
) -> Response:
    """The part of it that changes. seen: what the page shows; while that is so, nothing is sent: a form may be open."""
    context = _context(console, run_id, session)
    if context["is_open"] and seen == context["stamp"] and not context["moving"]:
        return Response(status_code=204)
    return page(request, "runbook_run_body.html", status=200 if context["is_open"] else STOP_POLLING, **context)


@router.post("/runbook-runs/{run_id}/answer")
def answer(
    run_id: str,
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    form: Annotated[FormData, Depends(sent_form)],
) -> Response:
    """Answer what it waits for."""
    number = str(form.get("question", ""))
    values = {name.removeprefix("value-"): str(value) for name, value in form.items() if name.startswith("value-")}
    given = Answer(
        str(form.get("what", "")),
        str(form.get("note", "")),
        str(form.get("typed", "")).strip(),
        values,
        session.operator.role == "admin",
    )
    console.guides.answer(run_id, session.operator.name, int(number) if number.isdecimal() else 0, given)
    return RedirectResponse(f"/runbook-runs/{run_id}", 303)


@router.post("/runbook-runs/{run_id}/go-on")
def go_on(run_id: str, session: ResponderPost, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Wait no longer until it has recovered: the next step."""
    console.guides.go_on(run_id, session.operator.name)
    return RedirectResponse(f"/runbook-runs/{run_id}", 303)


@router.post("/runbook-runs/{run_id}/resume")
def resume(
    run_id: str,
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    step: Annotated[str, Form()] = "",
    over: Annotated[str, Form()] = "",
) -> Response:
    """Take it up again, here: at the step that is open, or at another one; over: from whoever has it."""
    number = int(step) if step.isdecimal() else 0
    console.guides.resume(run_id, session.operator.name, number, over=bool(over))
    return RedirectResponse(f"/runbook-runs/{run_id}", 303)


def _named(console: Console, title: str) -> Runbook:
    manual, _problems = read(console.workspace.manual_path)
    return runbook_named(manual, title)


def _context(console: Console, run_id: str, session: Session) -> Facts:
    guide = watch(console.workspace, run_id)
    person = console.guides.of(guide.id)
    question = person.question if person else None
    held = person.held if person else None
    seen = person.seen if person and may(session.operator, "responder") else {}
    rows = [_row(guide, step.number, seen) for step in guide.runbook.steps]
    return {
        "run": guide.run,
        "runbook": guide.runbook,
        "steps": [(step, row, copied(step)) for step, row in zip(guide.runbook.steps, rows, strict=True)],
        "is_open": guide.is_open,
        "question": question,
        "held": held,
        "busy": person is not None,
        "moving": held is not None or any(row["state"] == "running" for row in rows),
        "who": guide.record.who_has(guide.id) if guide.record.is_held(guide.id) else "",
        "mine": person is not None and person.operator == session.operator.name,
        "stamp": f"{question.number if question else 0}-{'-'.join(row['state'] for row in rows)}",
        "back": f"/runbooks/{quote(guide.runbook.title)}",
    }


def _row(guide: Guide, number: int, seen: Mapping[tuple[int, str], list[Page]]) -> Facts:
    """A step of the record. seen: what steps have shown here, which is more than is put on record."""
    row = guide.row(number)
    facts = row["facts"] or {}
    kept = [page_of_blocks("step", blocks) for blocks in facts.get("output", []) if isinstance(blocks, list)]
    shown = seen.get((number, str(row["started_at"])), kept) if kept else []
    return row | {"facts": facts, "pages": shown}
