"""The one door to connections: where to connect, with which limits, and what a refusal means.

Connection strings are libpq's (URI or keywords), with service files, ~/.pgpass and PG* variables filling what they
leave out: https://www.postgresql.org/docs/current/libpq-connect.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import BadUsage, CannotConnect, NotAllowed

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SECRET = {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}

_HINTS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "check the user; put the password into PGPASSWORD or ~/.pgpass"),
    ("no password supplied", "put the password into PGPASSWORD or ~/.pgpass"),
    (r'database ".*" does not exist', "list the databases there with: psql -l"),
    (r'role ".*" does not exist', "check the user name in the URL or PGUSER"),
    ("could not translate host name|Name or service not known", "check the host name, or your network and DNS"),
    ("Connection refused|No such file or directory", "check host and port, and that the server is running"),
    ("timeout expired|timed out", "check host, port and firewall; a paused managed database needs resuming first"),
    ("no pg_hba.conf entry", "the server's pg_hba.conf does not let this user in from here"),
    ("too many clients|remaining connection slots", "the server has no connection left: tabsync status"),
    ("server does not support SSL", "the server has no TLS; drop sslmode, or turn TLS on at the server"),
    ("certificate", "check sslmode and sslrootcert"),
    ("service.* not found", "check ~/.pg_service.conf or PGSERVICEFILE"),
    ("starting up|shutting down|recovery mode", "the server is not ready yet; try again in a moment"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a session of ours. Times in milliseconds, 0 = no limit."""

    lock_timeout: int = 1_000
    statement_timeout: int = 30_000
    idle_in_transaction_timeout: int = 60_000


def check_conninfo(conninfo: str) -> dict[str, str]:
    """A connection string as keywords. Raises BadUsage when libpq can't read it (without repeating secrets)."""
    parts = _parts(conninfo)
    if parts is None:
        raise BadUsage(
            f"{without_secrets(conninfo)!r} is not a connection string",
            "give postgresql://user@host:5432/database, service=NAME, or set PGHOST and PGDATABASE",
        )
    if _is_cut_wrongly(conninfo, parts):
        raise BadUsage(
            "the URL's password, or another part of it, holds an @ or / that isn't escaped",
            "write @ as %40 and / as %2F; or leave the password out: PGPASSWORD or ~/.pgpass",
        )
    return parts


def _parts(conninfo: str) -> dict[str, str] | None:
    """What libpq reads in a connection string; None when it reads nothing, or bytes that are no text (%80)."""
    try:
        return {key: str(value) for key, value in conninfo_to_dict(conninfo).items() if value is not None}
    except (psycopg.ProgrammingError, UnicodeDecodeError):
        return None


def _is_cut_wrongly(conninfo: str, parts: Mapping[str, str]) -> bool:
    """Whether libpq takes a part of the password for host, port or database, which we would show.

    It ends the user's part of a URI at the first @, and looks for none behind the first slash; until then, a ? is
    nothing but a sign.
    """
    scheme, found, rest = conninfo.partition("://")
    if not found or scheme not in ("postgresql", "postgres"):
        return False
    user = re.match(r"[^@/]*@", rest)
    hosts_and_path = rest[user.end() if user else 0 :].partition("?")[0]
    ports = parts.get("port", "").split(",")
    return "@" in hosts_and_path or not all(port.isdecimal() or not port for port in ports)


def without_secrets(conninfo: str) -> str:
    """A connection string fit to be shown and recorded."""
    parts = _parts(conninfo)
    if parts is None or _is_cut_wrongly(conninfo, parts):
        # Where libpq can't tell which part is the password, nobody can: only what it begins with is shown.
        start = re.match(r"[\w.-]*(?:://)?", conninfo)
        shown = start[0] if start else ""
        return shown if shown == conninfo else f"{shown}..."
    return make_conninfo("", **{key: value for key, value in parts.items() if key not in _SECRET})


def libpq_environment(conninfo: str) -> dict[str, str]:
    """A connection string as PG* variables, for PostgreSQL's programs: a password must not stand in argv.

    Variables that the string leaves out are taken from our own environment, as libpq would.
    """
    parts = check_conninfo(conninfo)
    env: dict[str, str] = {}
    for option in pq.Conninfo.get_defaults():
        keyword, variable = option.keyword.decode(), (option.envvar or b"").decode()
        value = parts.get(keyword) or os.environ.get(variable)
        if variable and value:
            env[variable] = value
    if "PGSERVICEFILE" in os.environ:  # has a keyword only since libpq 18
        env["PGSERVICEFILE"] = os.environ["PGSERVICEFILE"]
    return env


def connect(conninfo: str, purpose: str, *, limits: Limits | None = None, autocommit: bool = True) -> Connection:
    """Open a session that names itself tabsync/<purpose> and is bounded.

    limits: set with SET after connecting, since poolers refuse start-up options.
    Raises CannotConnect with what to check.
    """
    check_conninfo(conninfo)
    limits = limits or Limits()
    try:
        connection = psycopg.connect(
            conninfo,
            autocommit=True,
            application_name=f"tabsync/{purpose}",
            client_encoding="UTF8",  # a database in SQL_ASCII would give its catalogs as bytes
            connect_timeout=libpq_environment(conninfo).get("PGCONNECT_TIMEOUT", "10"),
        )
        connection.execute(
            "select set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false)",
            [str(limits.lock_timeout), str(limits.statement_timeout), str(limits.idle_in_transaction_timeout)],
        )
    except psycopg.Error as error:
        raise cannot_connect(error, conninfo) from None
    connection.autocommit = autocommit
    return connection


def cannot_connect(error: psycopg.Error, conninfo: str) -> CannotConnect:
    """A refused connection as one line of fact and one of hint."""
    fact = _first_fact(str(error))
    hint = next(
        (hint for pattern, hint in _HINTS if re.search(pattern, str(error))), "check: psql with the same string"
    )
    return CannotConnect(f"can't connect to {place(conninfo)}: {fact}", hint)


def place(conninfo: str) -> str:
    """Where a connection string points to, in a few words: "tabsync on 127.0.0.1:5432"."""
    env = libpq_environment(conninfo)
    if "PGSERVICE" in env and "PGHOST" not in env:
        return f"service {env['PGSERVICE']}"
    host = env.get("PGHOST") or env.get("PGHOSTADDR") or "the local socket"
    return (
        f"{env.get('PGDATABASE') or env.get('PGUSER') or 'the default database'} on {host}:{env.get('PGPORT', '5432')}"
    )


@contextmanager
def allowed(what: str, hint: str) -> Iterator[None]:
    """Turn "permission denied" and timeouts inside the block into an error that names what was tried."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(f"not allowed to {what}: {error.diag.message_primary}", hint) from None
    except psycopg.errors.LockNotAvailable:
        raise NotAllowed(f"could not {what}: another session holds the lock", "tabsync status shows who") from None


def _first_fact(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for line in lines:
        match = re.search(r".*failed: (?:FATAL:\s*|error:\s*)?(.*)", line)
        if match and match[1]:
            return match[1]
    return lines[0] if lines else "no reason given"
