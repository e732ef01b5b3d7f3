"""Who acts: said for one transaction in one round trip, and gone after it."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tabsync.audit.acting import acting_as, acting_as_async, signature_of
from tabsync.postgres.embedded import Server

SAID = "select current_setting('tabsync.claims', true), current_setting('tabsync.signature', true)"
PLAIN = "select current_setting('request.jwt.claims', true)"
KEY = b"k" * 32


@pytest.fixture
def session(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        yield connection


def one(session: psycopg.Connection, statement: str) -> tuple[Any, ...]:
    return session.execute(statement.encode()).fetchone() or ()


def test_it_holds_for_the_transaction_and_no_longer(session: psycopg.Connection) -> None:
    with acting_as(session, 17, key=KEY, more={"role": "WAITER"}):
        claims, signature = one(session, SAID)
        assert claims
        assert json.loads(claims)["sub"] == "17"
        assert json.loads(claims)["role"] == "WAITER"
        assert signature == signature_of(claims, KEY)
        session.execute("create temp table kept (a int)")
    assert one(session, SAID) == ("", "")  # '' and not NULL: what reads it must take both for nobody
    assert one(session, "select count(*) from kept") == (0,)


def test_without_a_key_it_is_said_as_postgrest_does(session: psycopg.Connection) -> None:
    with acting_as(session, "ann"):
        assert json.loads(one(session, PLAIN)[0] or "")["sub"] == "ann"
    assert not one(session, PLAIN)[0]


def test_an_error_rolls_all_of_it_back(session: psycopg.Connection) -> None:
    with pytest.raises(ZeroDivisionError), acting_as(session, "ann", key=KEY):
        session.execute("create temp table lost (a int)")
        raise ZeroDivisionError
    assert one(session, "select to_regclass('pg_temp.lost')") == (None,)
    with pytest.raises(psycopg.errors.DivisionByZero), acting_as(session, "ann", key=KEY):
        session.execute("select 1 / 0")
    assert one(session, SAID) == ("", "")


def test_one_within_another_gives_back_who_acted_before(session: psycopg.Connection) -> None:
    session.row_factory = dict_row  # type: ignore[assignment]
    with acting_as(session, "ann", key=KEY), session.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        before = cursor.execute(SAID).fetchone()
        with acting_as(session, "bob", key=KEY):
            assert "bob" in str(cursor.execute(SAID).fetchone())
        assert cursor.execute(SAID).fetchone() == before
        with pytest.raises(ZeroDivisionError), acting_as(session, "eve", key=KEY):
            raise ZeroDivisionError
        assert cursor.execute(SAID).fetchone() == before


@pytest.mark.parametrize("autocommit", [True, False])
def test_the_transaction_is_the_one_that_the_connection_wants(server: Server, autocommit: bool) -> None:
    with psycopg.connect(server.conninfo(), autocommit=autocommit) as session:
        session.isolation_level, session.read_only = psycopg.IsolationLevel.SERIALIZABLE, True
        with acting_as(session, "ann", key=KEY):
            asked = "select current_setting('transaction_isolation'), current_setting('transaction_read_only')"
            assert one(session, asked) == ("serializable", "on")
            assert "ann" in str(one(session, SAID))
        assert session.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("nobody", ["", None])
def test_nobody_is_refused(session: psycopg.Connection, nobody: str | None) -> None:
    with pytest.raises(ValueError, match="nobody acts"), acting_as(session, nobody, key=KEY):
        pass


def test_who_is_not_signed_does_not_act_as_the_one_who_is(session: psycopg.Connection) -> None:
    with acting_as(session, "ann", key=KEY):
        signed = one(session, SAID)
        with acting_as(session, "bob"):
            assert one(session, SAID) == ("", "")
            assert json.loads(one(session, PLAIN)[0])["sub"] == "bob"
        assert one(session, SAID) == signed
        assert not one(session, PLAIN)[0]


def test_it_counts_as_long_as_is_asked(session: psycopg.Connection) -> None:
    with acting_as(session, "ann", key=KEY, life=3_600):
        assert 3_500 < json.loads(one(session, SAID)[0])["exp"] - time.time() <= 3_600


def test_an_asynchronous_connection_too(server: Server) -> None:
    async def act() -> tuple[str, str]:
        async with await psycopg.AsyncConnection.connect(server.conninfo(), autocommit=True) as session:
            async with acting_as_async(session, "ann", key=KEY):
                async with acting_as_async(session, "bob", key=KEY):
                    pass
                within = await (await session.execute(SAID)).fetchone()
            after = await (await session.execute(SAID)).fetchone()
        return str(within), str(after)

    # In a thread of its own: a worker that drew pages before has Playwright's loop in this one.
    with ThreadPoolExecutor(1) as apart:
        within, after = apart.submit(lambda: asyncio.run(act())).result()
    assert "ann" in within
    assert after == str(("", ""))


def test_it_takes_one_round_trip(session: psycopg.Connection) -> None:
    with tempfile.TemporaryFile("w+") as trace:
        session.pgconn.trace(trace.fileno())
        with acting_as(session, "ann", key=KEY):
            session.pgconn.untrace()
            trace.seek(0)
            said = trace.read()
            assert said.count("ReadyForQuery") == said.count("Sync") == 1
            assert "BEGIN" in said
            assert "set_config" in said
