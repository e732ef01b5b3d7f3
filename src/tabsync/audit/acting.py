"""For applications: who acts in a transaction, so that the audit log names a person instead of the pool's role.

    with acting_as(connection, user_id, key=key):
        connection.execute("update orders set ...")

What is said holds until the end of the transaction and no longer, so the next one on the same connection is nobody's.
With a key it is signed, and the database verifies it; without one, anybody who can run SQL could say the same (as with
PostgREST's and Supabase's request.jwt.claims, which are used then).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, LiteralString

from psycopg import AsyncConnection, Connection, IsolationLevel, capabilities
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

LIFE = 300
"""Seconds for which a signed claim counts: from the application's clock on, to the statement in the server."""

_SIGNED: LiteralString = "select set_config('tabsync.claims', %s, true), set_config('tabsync.signature', %s, true)"
_PLAIN: LiteralString = """
select set_config('request.jwt.claims', %s, true), set_config('tabsync.claims', '', true),
       set_config('tabsync.signature', '', true)
"""
"""Claims that are signed would count before these: another one has said them, in the transaction that is open."""
_LEVELS: dict[IsolationLevel, LiteralString] = {
    IsolationLevel.READ_UNCOMMITTED: "isolation level read uncommitted",
    IsolationLevel.READ_COMMITTED: "isolation level read committed",
    IsolationLevel.REPEATABLE_READ: "isolation level repeatable read",
    IsolationLevel.SERIALIZABLE: "isolation level serializable",
}
_NOW = """
select coalesce(current_setting('tabsync.claims', true), ''), coalesce(current_setting('tabsync.signature', true), ''),
       coalesce(current_setting('request.jwt.claims', true), '')
"""
_BACK = """
select set_config('tabsync.claims', %s, true), set_config('tabsync.signature', %s, true),
       set_config('request.jwt.claims', %s, true)
"""


def claims_of(user: object, *, more: Mapping[str, Any] | None = None, life: int = LIFE) -> str:
    """The claims as they are signed: JSON with `sub`, `exp` (seconds since 1970) and what else is given."""
    return json.dumps({**(more or {}), "sub": str(user), "exp": int(time.time()) + life}, sort_keys=True)


def signature_of(claims: str, key: bytes) -> str:
    """The signature of claims: HMAC-SHA256, hex. https://www.rfc-editor.org/rfc/rfc2104"""
    return hmac.new(key, claims.encode(), hashlib.sha256).hexdigest()


@contextmanager
def acting_as(
    connection: Connection[Any],
    user: object,
    *,
    key: bytes | None = None,
    more: Mapping[str, Any] | None = None,
    life: int = LIFE,
) -> Iterator[Connection[Any]]:
    """A transaction in which a user acts: it is begun, told and left to you in one round trip; committed at the end.

    user: the key of the user in the database, as a string or what str() makes one of (an uuid, a number); key: the one
    that `tabsync audit install --claims-key FILE` has, None for claims that are not signed; more: further claims; life:
    seconds for which it counts, from now by this machine's clock: longer than the transaction may take. What is changed
    later is nobody's, and `invalid`.
    Within a transaction that is open it is a savepoint, and what was said before holds again after it. Raises
    ValueError where nobody acts, and what psycopg raises.
    https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html
    """
    said = _statement(user, key, more, life)
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        before = connection.cursor(row_factory=tuple_row).execute(_NOW).fetchone()
        with connection.transaction():
            connection.execute(*said)
            yield connection
        connection.execute(_BACK, before)
        return
    with connection.pipeline() if capabilities.has_pipeline() else nullcontext():
        if connection.autocommit:
            connection.execute(_begin(connection))
        connection.execute(*said)
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@asynccontextmanager
async def acting_as_async(
    connection: AsyncConnection[Any],
    user: object,
    *,
    key: bytes | None = None,
    more: Mapping[str, Any] | None = None,
    life: int = LIFE,
) -> AsyncIterator[AsyncConnection[Any]]:
    """The same for an asynchronous connection: see acting_as."""
    said = _statement(user, key, more, life)
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        before = await (await connection.cursor(row_factory=tuple_row).execute(_NOW)).fetchone()
        async with connection.transaction():
            await connection.execute(*said)
            yield connection
        await connection.execute(_BACK, before)
        return
    async with connection.pipeline() if capabilities.has_pipeline() else nullcontext():
        if connection.autocommit:
            await connection.execute(_begin(connection))
        await connection.execute(*said)
    try:
        yield connection
    except BaseException:
        await connection.rollback()
        raise
    await connection.commit()


def _begin(connection: Connection[Any] | AsyncConnection[Any]) -> LiteralString:
    """What begins a transaction as the connection wants it; connection.transaction() would make a trip of its own."""
    parts: list[LiteralString] = ["begin"]
    if (level := connection.isolation_level) is not None:
        parts.append(_LEVELS[level])
    if connection.read_only is not None:
        parts.append("read only" if connection.read_only else "read write")
    if connection.deferrable is not None:
        parts.append("deferrable" if connection.deferrable else "not deferrable")
    return " ".join(parts)


def _statement(
    user: object, key: bytes | None, more: Mapping[str, Any] | None, life: int
) -> tuple[LiteralString, list[str]]:
    if user is None or not str(user):
        raise ValueError("nobody acts: the user is empty, or None")
    claims = claims_of(user, more=more, life=life)
    return (_PLAIN, [claims]) if key is None else (_SIGNED, [claims, signature_of(claims, key)])
