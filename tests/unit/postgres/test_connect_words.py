"""What is said of a connection: never its secrets, one line of fact, one of what to do."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import BadUsage, CannotConnect, Exit
from tabsync.postgres.conninfo import check_conninfo, libpq_environment, place, without_secrets
from tabsync.postgres.refusal import cannot_connect

# Each password holds "hunter" plus anything, so that it can't stand in the rest of the string by chance.
WEIRD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
PASSWORDS = st.builds("{}hunter{}".format, WEIRD, WEIRD)
SECRETS = ["password", "sslpassword"]


def kept_secret(shown: str, password: str) -> bool:
    return "hunter" not in shown and password not in shown


@given(PASSWORDS, st.sampled_from(SECRETS))
def test_no_password_of_keywords_survives(password: str, keyword: str) -> None:
    conninfo = make_conninfo("host=db.example.com dbname=shop user=me", **{keyword: password})
    shown = without_secrets(conninfo)
    assert kept_secret(shown, password)
    assert conninfo_to_dict(shown) == {"host": "db.example.com", "dbname": "shop", "user": "me"}
    assert kept_secret(place(conninfo), password)


@given(PASSWORDS)
def test_no_password_of_a_uri_survives(password: str) -> None:
    escaped = quote(password, safe="")
    for uri in (
        f"postgresql://me:{escaped}@db.example.com:5433/shop?sslmode=require",
        f"postgres://me@db.example.com/shop?password={escaped}",
    ):
        shown = without_secrets(uri)
        assert kept_secret(shown, password)
        assert escaped not in shown
        assert conninfo_to_dict(shown)["host"] == "db.example.com"
        assert kept_secret(place(uri), password)


@given(PASSWORDS)
@example("@hunter/shop")
@example("p%hunter@x:y")
@example("a@b/c?hunter@x")
def test_a_uri_that_is_none_does_not_tell_its_password(password: str) -> None:
    uri = f"postgresql://me:{password}@db.example.com:5433/shop"
    told_without_secret(uri)


@given(PASSWORDS, st.sampled_from(["@", "/", "?", ":", "#", "1/", "@/", ""]))
@example("@x@hunter", "")
@example("12/hunter", "")
@example("a/hunter", "")
@example("a?b/hunter", "")
@example("@/hunter", "?")
@example("hunter%40", "@")
@example("hunter%80", "@")
@example("hunter@/", "?")
def test_a_password_that_is_not_escaped_is_nowhere_taken_for_something_else(password: str, sign: str) -> None:
    uri = f"postgresql://me:{sign}{password}@db.example.com:5433/shop"
    assert "hunter" not in without_secrets(uri)
    try:
        check_conninfo(uri)
    except BadUsage as bad:
        assert "hunter" not in bad.fact + bad.hint
    else:
        assert place(uri) == "shop on db.example.com:5433"


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me@%40abstract/shop",
        "postgresql://me@one,two:5433/shop?application_name=a@b",
        "postgresql://me@%2Ftmp%2Fa%40b/a%40b",
        "postgresql://[::1]:5433/shop",
        "postgresql:///shop?host=/tmp",
    ],
)
def test_signs_that_are_escaped_or_stand_elsewhere_are_fine(uri: str) -> None:
    assert check_conninfo(uri) == conninfo_to_dict(uri)


@given(PASSWORDS, st.sampled_from([*SECRETS, "PASSWORD", "password "]))
@example("it's hunter", "password")
@example("two words hunter", "password")
@example("'hunter two", "password")
@example("= hunter", "password")
def test_keywords_that_are_none_do_not_tell_their_password(password: str, keyword: str) -> None:
    told_without_secret(f"host=db.example.com {keyword}={password} user=me")


def told_without_secret(conninfo: str) -> None:
    with contextlib.suppress(psycopg.ProgrammingError, UnicodeDecodeError):
        conninfo_to_dict(conninfo)
        return  # it was a connection string after all: another test's matter
    with pytest.raises(BadUsage) as bad:
        check_conninfo(conninfo)
    assert "hunter" not in bad.value.fact + bad.value.hint
    assert "\n" not in bad.value.fact


@given(PASSWORDS)
def test_a_password_reaches_programs_by_environment_as_it_is(password: str) -> None:
    conninfo = make_conninfo("host=h dbname=d user=u port=5433", password=password)
    env = libpq_environment(conninfo)
    assert env["PGPASSWORD"] == password
    assert (env["PGHOST"], env["PGDATABASE"], env["PGUSER"], env["PGPORT"]) == ("h", "d", "u", "5433")


def test_variables_fill_what_a_string_leaves_out_and_do_not_override_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PGSSLMODE", "require")
    env = libpq_environment("host=here dbname=shop")
    assert (env["PGHOST"], env["PGSSLMODE"]) == ("here", "require")
    assert libpq_environment("dbname=shop")["PGHOST"] == "elsewhere"


@pytest.mark.parametrize(
    ("conninfo", "words"),
    [
        ("host=db dbname=shop user=me", "shop on db:5432"),
        ("postgresql://me@db:5433", "me on db:5433"),
        ("service=production", "service production"),
        ("host=/run/postgresql dbname=shop", "shop on /run/postgresql:5432"),
    ],
)
def test_a_place_in_a_few_words(conninfo: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)
    assert place(conninfo) == words


@pytest.mark.parametrize(
    ("message", "fact", "hint"),
    [
        (
            'connection failed: connection to server at "127.0.0.1", port 5 failed: FATAL:  password authentication'
            ' failed for user "me"',
            'password authentication failed for user "me"',
            "~/.pgpass",
        ),
        (
            'connection failed: connection to server on socket "/x" failed: No such file or directory\n\tIs the server'
            " running locally and accepting connections on that socket?",
            "No such file or directory",
            "host and port",
        ),
        ('connection to server at "h" failed: FATAL:  database "x" does not exist', "does not exist", "psql -l"),
        ("FATAL:  sorry, too many clients already", "too many clients", "all connections are in use"),
        ('definition of service "x" not found', "service", "pg_service.conf"),
        ("something nobody foresaw", "something nobody foresaw", "psql"),
        ("", "no reason given", "psql"),
    ],
)
def test_a_refusal_is_one_line_and_a_hint(message: str, fact: str, hint: str) -> None:
    told = cannot_connect(psycopg.OperationalError(message), "host=db dbname=shop password=hunter2")
    assert isinstance(told, CannotConnect)
    assert told.exit_code is Exit.NOT_ALLOWED
    assert told.fact.startswith("can't connect to shop on db:")
    assert fact in told.fact
    assert "\n" not in told.fact
    assert hint in told.hint
    assert "hunter2" not in told.fact + told.hint


@pytest.mark.parametrize(
    ("conninfo", "hint"),
    [
        ("postgresql://u:hunter@h/db?schema=public&pgbouncer=true", "leave schema, pgbouncer out"),
        ("postgresql://u:hunter@h/db?sslmode=require&connection_limit=1", "leave connection_limit out"),
        ("postgresql://u:hunter@h/db?sslmode=require&hunter=1", "the parameter after the ? is unknown"),
        ("postgresql://u:hunter%w@h/db", "% in a URL is written %25"),
        ("postgresql://u:hunter%@h/db", "% in a URL is written %25"),
        ("postgresql://u:hunter%ff@h/db", "not UTF-8"),
        ("postgresql+psycopg2://u:hunter@h/db", "write postgresql://"),
        ("postgres+asyncpg://u:hunter@h/db", "+asyncpg names a Python driver"),
        ("jdbc:postgresql://h/db?user=u&password=hunter", "JDBC"),
        ("mysql://u:hunter@h/db", "begin with postgresql://"),
        ("prisma+postgres://accelerate.example.com/?api_key=hunter", "directUrl"),
        ("host=h nonsense=hunter", "service=NAME"),
    ],
)
def test_a_string_of_another_tool_is_explained(conninfo: str, hint: str) -> None:
    with pytest.raises(BadUsage) as bad:
        check_conninfo(conninfo)
    assert hint in bad.value.hint
    assert "hunter" not in bad.value.fact + bad.value.hint
