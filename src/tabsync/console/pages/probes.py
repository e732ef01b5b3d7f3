"""/healthz and /readyz, for whoever keeps the console running: they say ok, and nothing more, to anybody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import PlainTextResponse, Response

from tabsync.console.base.access import Public
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.errors import TabsyncError

router = APIRouter()


@router.get("/healthz")
def alive(_: Public) -> Response:
    """Whether the console answers; the database may be down, and the console is what says so."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def ready(_: Public, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Whether people can use it: whether the ledger can be read, without which nobody can log in."""
    try:
        console.ledger.read("newest_run")
    except TabsyncError:
        return PlainTextResponse("not ready\n", 503)
    return PlainTextResponse("ok\n")
