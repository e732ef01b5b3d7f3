"""Who is logged in proves again who it is, before something that nobody else may do in their name."""

from __future__ import annotations

import asyncio

from anyio import to_thread
from fastapi import HTTPException, Request

from tabsync.console.base.state import Console
from tabsync.console.base.throttle import keys_of
from tabsync.kernel.errors import NotAllowed
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.operators import Operator, check_password
from tabsync.ledger.second_factor import takes

_LONGEST_CODE = 64


async def prove_again(request: Request, console: Console, operator: Operator, password: str, code: str) -> None:
    """Check the operator's password and, with a second factor, a code. Guessing is slowed down as at the login.

    Raises NotAllowed when they don't match, HTTPException 429.
    """
    address = request.client.host if request.client else ""
    keys = keys_of(operator.name, address)
    wait, delay = console.throttle.admit(keys)
    if wait > 0:
        told = f"Too many attempts. Try again in {int(wait) + 1} s."
        raise HTTPException(429, told, {"retry-after": str(int(wait) + 1)})
    await asyncio.sleep(delay)
    if not await to_thread.run_sync(_right, console, operator, password, code, limiter=console.hashing):
        raise NotAllowed("the password or the code is wrong, or the code was used; nothing was changed", "go back")
    console.throttle.succeeded(keys)


def _right(console: Console, operator: Operator, password: str, code: str) -> bool:
    found = check_password(console.ledger, operator.name, password)
    right = found is not None and found.id == operator.id and takes(console.ledger, operator.id, code[:_LONGEST_CODE])
    if not right:
        add_audit(console.ledger, operator.name, "wrong password again", "console", {})
    return right
