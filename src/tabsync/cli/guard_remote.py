"""tabsync migration guard --server: the command runs here, in a pipeline; a running service sees to all else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tabsync.cli.remote import OTHER, asked, said, service
from tabsync.kernel.errors import CannotConnect, FailedPartway, Refused, TabsyncError
from tabsync.kernel.page import Page

if TYPE_CHECKING:
    import httpx

    from tabsync.deployments.request import Guard
    from tabsync.kernel.step import Facts

_EVERY = 1.0  # seconds between two questions
_BEAT = 10.0  # seconds between two signs of life while the command runs
_STATES = ("preparing", "ready", "verifying", "ended")


def guard_there(request: Guard, *, stream: str) -> tuple[int, Page]:
    """Run a command when the service says that it may; gives the exit code, and the page.

    stream: "stdout" or "stderr", where its output goes. Raises Refused when it may not, CannotConnect when the service
    can't be reached before it has begun.
    """
    from tabsync.deployments.guard import shown_command
    from tabsync.deployments.request import bounds_of

    bounds = bounds_of(request)
    options = {"wait": request.wait, "lock_timeout": request.lock_timeout}
    options |= {"block_budget": request.block_budget} if request.block_budget else {}
    options |= {"prove_within": request.prove_within} if request.prove_within else {}
    with service(request.server) as client:
        body = {"command": shown_command(request.command, os.environ), "options": options}
        begun = _checked(asked(client, "POST", "/api/v1/deployments", body), "run", "name", "target")
        path = f"/api/v1/deployments/{begun['run']}"
        state = _until(client, path, "preparing")
        if state["state"] != "ready":
            raise _error(state, Refused)
        ran = _run(client, path, request, begun, bounds.lock, stream)
        try:
            asked(client, "POST", path, ran)
            state = _until(client, path, "ready", "verifying")
        except TabsyncError as error:
            state = {"ok": False, "error": {"fact": f"not verified: {error.fact}", "hint": error.hint}}
    return _ended(state, ran, begun["run"])


def _run(client: httpx.Client, path: str, request: Guard, begun: Facts, lock: float, stream: str) -> Facts:
    from tabsync.deployments.command import show_on, started
    from tabsync.deployments.prepared import with_bound

    found = with_bound(os.environ, begun["target"], begun["run"], begun["name"], lock)
    for told in found.told:
        sys.stderr.write(f"note: {told}\n")
    at = time.monotonic()
    heard = at
    with started(
        request.command, found.environment, show_on(sys.stdout if stream == "stdout" else sys.stderr)
    ) as command:
        while True:
            try:
                command.process.wait(_EVERY)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() - heard > _BEAT:
                    with suppress(TabsyncError):  # it is verified in the end, or is said not to be
                        asked(client, "GET", path)
                    heard = time.monotonic()
    code = command.process.returncode
    return {
        "exit": code if code >= 0 else 128 - code,
        "seconds": round(time.monotonic() - at, 3),
        "output": list(command.lines)[-50:],
        "lock_timeout": found.passed,
        "not_passed": found.told,
    }


def _until(client: httpx.Client, path: str, *states: str) -> Facts:
    """Ask until it is in none of some states."""
    while True:
        found = _checked(asked(client, "GET", path), "state")
        if found["state"] not in _STATES:
            raise CannotConnect("the service did not say how far the deployment is", OTHER)
        if found["state"] not in states:
            return found
        time.sleep(_EVERY)


def _ended(state: Facts, ran: Facts, run: str) -> tuple[int, Page]:
    page = Page(
        "migration guard", {"run": run, "exit": ran["exit"], "ok": state.get("ok"), "result": state.get("result")}
    )
    if state.get("ok") is True:
        page.line(("DEPLOYED AND VERIFIED", "strong good"), f": run {run} of the service")
        return 0, page
    if ran["exit"] != 0:
        page.line(("THE COMMAND FAILED", "strong bad"), f" with exit code {ran['exit']}: run {run} of the service")
    else:
        page.line(("NOT AS IT SHOULD BE", "strong bad"), ": the command ended with 0")
    page.error = _error(state, FailedPartway)
    return ran["exit"] or 5, page


def _error(state: Facts, kind: type[TabsyncError]) -> TabsyncError:
    told = state.get("error")
    told = told if isinstance(told, dict) else {}
    return kind(said(told.get("fact") or "the service does not say why"), said(told.get("hint") or "tabsync run list"))


def _checked(content: Any, *names: str) -> Facts:
    if not isinstance(content, dict) or any(name not in content for name in names):
        raise CannotConnect("the service did not answer as one of this version", OTHER)
    return content
