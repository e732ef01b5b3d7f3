"""/api/v1/deployments: a pipeline runs the command of a deployment, and this service sees to all else."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException
from starlette.responses import JSONResponse

from tabsync.console.base.access import TokenAdmin
from tabsync.console.base.state import Console, console_of
from tabsync.deployments.guard import PIPELINE, plan_guard
from tabsync.deployments.pipeline import forget, name_of, pipeline_of
from tabsync.deployments.request import Guard
from tabsync.deployments.secrets import Mask, harmless
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plain import is_text
from tabsync.kernel.procedure import planned
from tabsync.ledger.runs import mark_interrupted, one_run
from tabsync.procedures import find, page_of

router = APIRouter(prefix="/api/v1")

_CREATED = 201
_TAKEN = ("wait", "lock_timeout", "block_budget", "prove_within")
_LONGEST = 10_000  # characters of a command
_LINES = 50
_LINE = 2_000  # characters
_MASK = Mask()


@router.post("/deployments")
def begin(
    operator: TokenAdmin,
    console: Annotated[Console, Depends(console_of)],
    command: Annotated[str, Body()],
    options: Annotated[dict[str, str] | None, Body()] = None,
) -> JSONResponse:
    """Begin one. command: as it is to be shown, without secrets; options: of migration guard. Gives the run."""
    given: dict[str, Any] = dict(options or {})
    if not command.strip() or len(command) > _LONGEST or (unknown := given.keys() - set(_TAKEN)):
        raise BadUsage(f"an option is not known: {', '.join(sorted(unknown))}" if command.strip() else "no command", "")
    procedure = find("migration guard")
    assert procedure is not None  # noqa: S101 - it is declared
    if not all(map(is_text, (command, *given.values()))):
        raise BadUsage("the command is not text", "send it in UTF-8")
    request = Guard((harmless(_MASK(command)),), **given)
    made = planned(procedure, request, plan_guard(console.workspace, request, {}, stream=PIPELINE))
    run_id = console.worker.start(console.worker.show(procedure, request, made, operator.name), operator.name)
    pipeline_of(run_id)
    told = {"run": run_id, "name": name_of(run_id), "target": made.plan.target}
    return JSONResponse({"version": 1, "kind": "deployment", **told}, _CREATED)


@router.get("/deployments/{run}")
def look(run: str, _: TokenAdmin, console: Annotated[Console, Depends(console_of)]) -> JSONResponse:
    """How far one is: "preparing", "ready" for its command, "verifying" or "ended". Who asks is known to live."""
    mark_interrupted(console.ledger)
    found = one_run(console.ledger, run)
    if found is None or found["procedure"] != "migration guard":
        raise HTTPException(404, f"there is no deployment {run!r}")
    told: dict[str, Any] = {"run": run, "state": "ended"}
    if found["state"] == "running":
        mine = pipeline_of(run)
        told["state"] = "verifying" if mine.result is not None else "ready" if mine.ready else "preparing"
    else:
        forget(run)
        failed = next((one for one in found["steps"] if one["state"] == "failed"), None)
        page = page_of(console.workspace, found)
        told |= {
            "ok": found["state"] == "done",
            "error": {"fact": failed["fact"], "hint": failed["hint"]} if failed else _of_state(run, found["state"]),
            "step": failed["key"] if failed else None,
            "result": page.to_json() if page else None,
        }
    return JSONResponse({"version": 1, "kind": "deployment", **told})


def _shown(lines: list[str] | None) -> list[str]:
    """Lines of somebody else's program, as they may be recorded: it has masked them, or should have."""
    plain = (line[:_LINE].encode(errors="replace").decode() for line in (lines or [])[-_LINES:])
    return [harmless(_MASK(line)) for line in plain]


def _of_state(run: str, state: str) -> dict[str, str] | None:
    """Why a run without a step that failed did not end well."""
    return None if state == "done" else {"fact": f"the run {run} is {state}", "hint": f"tabsync run show {run}"}


@router.post("/deployments/{run}")
def end(
    run: str,
    _: TokenAdmin,
    console: Annotated[Console, Depends(console_of)],
    exit: Annotated[int, Body(ge=0, le=255)],
    seconds: Annotated[float, Body(ge=0, le=10_000_000, allow_inf_nan=False)],
    output: Annotated[list[str] | None, Body()] = None,
    lock_timeout: Annotated[list[str] | None, Body()] = None,
    not_passed: Annotated[list[str] | None, Body()] = None,
) -> JSONResponse:
    """Report what came of the command; it is verified then."""
    found = one_run(console.ledger, run)
    if found is None or found["state"] != "running" or not pipeline_of(run).ready:
        raise HTTPException(404, f"no deployment {run!r} waits for its command")
    pipeline_of(run).result = {
        "exit": exit,
        "seconds": seconds,
        "lock_timeout": _shown(lock_timeout),
        "not_passed": _shown(not_passed),
        "output": _shown(output),
    }
    return JSONResponse({"version": 1, "kind": "deployment", "run": run, "state": "verifying"})
