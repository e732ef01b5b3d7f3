"""Whom an entry names as the actor: who signed; never who is forged, late or unreadable; and no write fails for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tabsync.audit import acting
from tabsync.audit.acting import acting_as, claims_of, signature_of
from tabsync.audit.claims_key import write_key
from tests.example.acting import rename
from tests.sessions import connect

KEY = b"k" * 100  # longer than a block, so it is hashed first
ANN = "00000000-0000-4000-8000-00000000000a"


@pytest.fixture
def session(audited_database: Callable[..., str]) -> Iterator[psycopg.Connection]:
    conninfo = audited_database()
    with connect(conninfo, "tests") as ours:
        write_key(ours, KEY)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def write(session: psycopg.Connection) -> None:
    session.execute("update users set full_name = full_name || '!' where role = 'SUPER_ADMIN'")


def last(session: psycopg.Connection) -> tuple[Any, ...] | None:
    asked = "select actor, actor_how, user_id::text from audit_logs order by id desc limit 1"
    return session.execute(asked).fetchone()


def test_who_signs_is_named(session: psycopg.Connection) -> None:
    with acting_as(session, ANN, key=KEY):
        write(session)
    assert last(session) == (ANN, "signed", ANN)
    write(session)
    assert last(session) == (None, None, None)


def test_the_example_of_the_page_is_named(session: psycopg.Connection) -> None:
    boss = str((session.execute("select id from users where role = 'SUPER_ADMIN'").fetchone() or ("",))[0])
    rename(session, boss, "Ann", KEY)
    assert last(session) == (boss, "signed", boss)


def test_who_is_said_without_a_key_is_plain(session: psycopg.Connection) -> None:
    with acting_as(session, "ann"):
        write(session)
    assert last(session) == ("ann", "plain", None)


def test_of_two_that_are_nested_each_write_has_its_own(session: psycopg.Connection) -> None:
    with acting_as(session, ANN, key=KEY):
        with acting_as(session, "bob", key=KEY):
            write(session)
        assert last(session) == ("bob", "signed", None)
        write(session)
    assert last(session) == (ANN, "signed", ANN)


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        ("another key", b"another key"),
        ("late", KEY),
        ("no json", KEY),
        ("[1, 2]", KEY),
        ('{"sub": "ann"}', KEY),
        ('{"sub": "ann", "exp": "soon"}', KEY),
        ('{"sub": "", "exp": 9999999999}', KEY),
        ('{"sub": {"a": 1}, "exp": null}', KEY),
    ],
)
def test_what_is_not_valid_is_nobody_and_fails_no_write(session: psycopg.Connection, claims: str, key: bytes) -> None:
    claims = {"another key": claims_of(ANN), "late": claims_of(ANN, life=-1)}.get(claims, claims)
    with session.transaction():
        session.execute(acting._SIGNED, [claims, signature_of(claims, key)])
        write(session)
    assert last(session) == (None, "invalid", None)


@pytest.mark.parametrize("signature", ["", "zz", "é", "0" * 64])
def test_a_forged_signature_is_nobody(session: psycopg.Connection, signature: str) -> None:
    with session.transaction():
        session.execute(acting._SIGNED, [claims_of(ANN), signature])
        write(session)
    assert last(session) == (None, "invalid", None)


def test_an_application_cannot_read_the_key(session: psycopg.Connection) -> None:
    session.execute("create role reads_key login")
    try:
        session.execute("grant all on all tables in schema public to reads_key")
        session.execute("set role reads_key")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("select * from tabsync_audit.secret")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("select tabsync_audit.who()")
    finally:
        session.execute("reset role")
        session.execute("drop owned by reads_key")
        session.execute("drop role reads_key")
