"""/runs: what ran, what is running, what was interrupted."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tabsync.console.base.access import AdminPost, Viewer
from tabsync.console.base.render import page
from tabsync.console.base.rows import shown
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.step import Facts
from tabsync.ledger.operators import Session
from tabsync.ledger.runs import mark_interrupted, one_run, recent_runs
from tabsync.ledger.stop import ask_to_stop, who_stops
from tabsync.procedures import page_of
from tabsync.runbooks.parent import WORDS

router = APIRouter()

STOP_POLLING = 286
"""Tells htmx that this answer is the last one: https://htmx.org/docs/#polling"""

_SHOWN = 100


@router.get("/runs")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The newest runs."""
    mark_interrupted(console.ledger)
    return page(request, "runs.html", runs=recent_runs(console.ledger, _SHOWN), limit=_SHOWN)


@router.get("/runs/{run}")
def one(run: str, request: Request, session: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """One run; while it runs, the page follows it."""
    mark_interrupted(console.ledger)
    if _found(console, run)["procedure"] == WORDS:
        return RedirectResponse(f"/runbook-runs/{_found(console, run)['id']}", 303)
    return page(request, "run.html", **_context(console, run, session))


@router.get("/runs/{run}/steps")
def steps(run: str, request: Request, session: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The part of it that changes while it runs."""
    context = _context(console, run, session)
    return page(request, "run_body.html", status=200 if context["live"] else STOP_POLLING, **context)


@router.post("/runs/{run}/stop")
def stop(run: str, session: AdminPost, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Ask a run to end; its page shows what becomes of it."""
    found = ask_to_stop(console.ledger, _found(console, run)["id"], session.operator.name)
    return RedirectResponse(f"/runs/{found['id']}", 303)


@router.get("/runs/{run}/report")
def report(run: str, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The drill's report: a page of its own, with its own style, that may do nothing."""
    found = _found(console, run)
    path = _report(console, found["id"])
    if not path.is_file():
        raise HTTPException(404, "This run has no report.")
    text = path.read_text(encoding="utf-8")
    styles = [f"'sha256-{_sha256(one)}'" for one in re.findall(r"<style>(.*?)</style>", text, re.DOTALL)]
    policy = f"default-src 'none'; style-src {' '.join(styles)}; frame-ancestors 'none'; base-uri 'none'; sandbox"
    return HTMLResponse(text, headers={"content-security-policy": policy})


def _context(console: Console, run: str, session: Session) -> Facts:
    found = _found(console, run)
    progress = console.worker.progress_of(found["id"])
    busy = progress is not None
    planned = {step["key"]: step for step in found["plan"]["steps"]}
    by_key = {step["key"]: step for step in found["steps"]}
    # Values of rows are for who may write them.
    looks = "compare" in by_key and session.operator.role == "admin" and found["state"] == "done"
    difference = shown(console.workspace, found["id"]) if looks and not busy else None
    return {
        "run": found,
        "planned": planned,
        "live": busy or found["state"] == "running",
        "progress": progress,
        "page": None if busy or found["state"] == "running" else page_of(console.workspace, found),
        "compared": _having(by_key, "compare", "tables"),
        "difference": difference,
        "stopping": who_stops(console.ledger.claims / found["id"]) if found["state"] == "running" else "",
        "has_report": _report(console, found["id"]).is_file(),
    }


def _having(steps: dict[str, Facts], key: str, fact: str) -> Facts | None:
    """The facts of a step, if they are of the kind that has that fact: steps of several procedures share a key."""
    facts: Facts = (steps.get(key) or {}).get("facts") or {}
    return facts if fact in facts else None


def _found(console: Console, run: str) -> Facts:
    found = one_run(console.ledger, run)
    if found is None:
        raise HTTPException(404, "There is no run with this id.")
    return found


def _report(console: Console, known_id: str) -> Path:
    # Only of an id that the ledger gave: what stands in the URL never becomes a path.
    return console.workspace.home / "reports" / f"drill-{known_id}.html"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
