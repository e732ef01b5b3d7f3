"""tabsync user promote, as one types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bcrypt
import psycopg
import pytest

from tests import forked
from tests.killed_at import Moment
from tests.postgres.cli.program import TABSYNC, Done, environment, tabsync
from tests.postgres.users.people import entries, key, role

PASSWORD = "canary-5fd1c7-ünder"


@pytest.fixture
def conninfo(guarded: Callable[..., str]) -> str:
    made = guarded()
    with psycopg.connect(made, autocommit=True) as session:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2a")).decode()
        session.execute("update users set password_hash = %s where full_name in ('owner', 'super')", (hashed,))
    return made


def user(directory: Path, conninfo: str, *words: str, password: str = PASSWORD, **env: str) -> Done:
    """Run `tabsync user ...` with a password at its standard input."""
    argv = [str(TABSYNC), "user", *words, *(["--password-fd", "0"] if password else [])]
    (directory / "tabsync.toml").touch()  # with one, the manual is the profile's
    if not password:
        return tabsync(directory, *argv[1:], **{"TABSYNC_DATABASE": conninfo, **env})  # type: ignore[arg-type]
    given = environment(directory, TABSYNC_DATABASE=conninfo, **env)
    done = forked.run(argv, directory, given, timeout=60, given=f"{password}\n")
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_user_is_promoted_by_another_one(directory: Path, conninfo: str) -> None:
    asked = (
        "promote",
        "Waiter@Example.com ",
        "--to",
        "KITCHEN",
        "--reason",
        "cooks better",
        "--by",
        "owner@example.com",
    )
    shown = user(directory, conninfo, *asked, "--dry-run")
    assert "change_role_as" in shown.out, shown.err
    done = user(directory, conninfo, *asked)
    assert done.code == 0, done.err
    assert "waiter@example.com is KITCHEN now" in done.out
    with psycopg.connect(conninfo) as session:
        assert role(session, "waiter") == "KITCHEN"
        assert entries(session)[0][3:6] == (key(session, "owner"), "password", "cooks better")
    again = user(directory, conninfo, *asked)
    assert (again.code, "is KITCHEN already" in again.err) == (4, True)


def test_killed_at_any_moment_role_and_entry_agree(directory: Path, conninfo: str) -> None:
    """Whatever was written down of the run: both are there, or neither is."""
    log, told = directory / "moments", []
    for number in range(12):
        to = "KITCHEN" if number % 2 else "WAITER"
        asked = ("promote", "customer@example.com", "--to", to, "--break-glass", "eva", "--reason", f"moment {number}")
        env = Moment(str(log), number=number).variables()
        log.unlink(missing_ok=True)
        done = user(directory, conninfo, *asked, password="", **env)
        with psycopg.connect(conninfo) as session:
            written = [one for one in entries(session) if one[5] == f"moment {number}"]
            told.append(len(written))
            assert [one[2]["role"] for one in written] == ([to] if written else [])
            assert role(session, "customer") == (entries(session)[-1][2]["role"] if entries(session) else "CUSTOMER")
        if done.code == 0:
            break
    assert 0 in told
    assert done.code == 0, "it was never left alone"
    assert told[-2:] == [1, 1], told  # the last one that was killed had done it already
