"""Connection strings: read, passed on to PostgreSQL's programs, and shown without their secrets.

They are libpq's (URI or keywords), with service files, ~/.pgpass and PG* variables filling what they leave out:
https://www.postgresql.org/docs/current/libpq-connect.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import BadUsage

_PING = 3  # seconds; libpq takes no less than 2
_SECRET = {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}

_OF_OTHERS = (
    "schema",
    "pgbouncer",
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    "prepared_statements",
    "sslaccept",
    "sslidentity",
    "single_use_connections",
    "pool_size",
    "pool_max_conns",
    "max_overflow",
    "currentSchema",
    "ssl",
    "supa",
    "uselibpqcompat",
)
"""Parameters that other tools put into a connection string and libpq doesn't know."""


_NOT_FROM_OUTSIDE: Mapping[str, str] = {
    # An address would lead to another server, and a password from the environment beats the password file.
    "hostaddr": "",
    "password": "",
    "options": "",
    "requirepeer": "",
    "require_auth": "none,scram-sha-256",  # empty is no method at all
    "target_session_attrs": "any",
    # There is no TLS and no Kerberos on a socket of this machine; each of these could ask for one.
    "channel_binding": "prefer",
    "gssencmode": "disable",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "sslcertmode": "allow",
    "sslrootcert": "",
}
"""What PG* variables would fill in, with the value by which nothing is asked of a server."""


def own_place(**parts: str) -> str:
    """A connection string to a server of ours: PG* variables are about the person's server and change nothing in it.

    https://www.postgresql.org/docs/current/libpq-envars.html
    """
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    alone = {name: value for name, value in _NOT_FROM_OUTSIDE.items() if name in known}
    return make_conninfo("", **(alone | parts))


def without_defences(conninfo: str) -> str:
    """The same for a person to copy: what only keeps PG* variables out is left away."""
    parts = check_conninfo(conninfo)
    return make_conninfo("", **{name: one for name, one in parts.items() if _NOT_FROM_OUTSIDE.get(name) != one})


def check_conninfo(conninfo: str) -> dict[str, str]:
    """A connection string as keywords. Raises BadUsage when libpq can't read it (without repeating secrets)."""
    parts = _parts(conninfo)
    if parts is None:
        raise BadUsage(
            f"{without_secrets(conninfo)!r} is not a connection string that PostgreSQL accepts", _mend(conninfo)
        )
    if _is_cut_wrongly(conninfo, parts):
        raise BadUsage(
            "the URL's password, or another part of it, contains an @ or / that is not escaped",
            "write @ as %40 and / as %2F; or leave the password out: PGPASSWORD or ~/.pgpass",
        )
    return parts


def _mend(conninfo: str) -> str:
    """What to change in a string that libpq can't read. Names no part of it that could be one of a password."""
    scheme, found, rest = conninfo.partition("://")
    if not found:
        return "give postgresql://user@host:5432/database, service=NAME, or set PGHOST and PGDATABASE"
    if scheme.startswith("jdbc:"):
        return "a JDBC URL is for Java: write postgresql://user@host:5432/database"
    if driver := re.fullmatch(r"(?:postgresql|postgres)\+(\w+)", scheme):
        return f"+{driver[1]} names a Python driver: write postgresql:// only"
    if scheme not in ("postgresql", "postgres", "prisma+postgres"):
        return "it has to begin with postgresql://"
    if scheme == "prisma+postgres":
        return "this URL is for Prisma's proxy: give the URL of the database itself (directUrl)"
    keys = {key.partition("=")[0] for key in re.split("[?&]", rest)[1:]}
    if foreign := [key for key in _OF_OTHERS if key in keys]:
        return f"leave {', '.join(foreign)} out: only ORMs or drivers use it, PostgreSQL does not know it"
    if re.search("%(?![0-9A-Fa-f]{2})", rest):
        return "a % in a URL is written %25; or leave the password out: PGPASSWORD or ~/.pgpass"
    if re.search("%(?:[89A-Fa-f])", rest):
        return "the bytes after a % are not UTF-8: write @ as %40, / as %2F and % as %25, or leave the password out"
    if keys:
        return "the parameter after the ? is unknown to PostgreSQL, which knows sslmode, options and others"
    return "write @ as %40, / as %2F, : as %3A and % as %25; or leave the password out: PGPASSWORD or ~/.pgpass"


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
    return make_conninfo("", **{key: value for key, value in parts.items() if not value or key not in _SECRET})


def libpq_environment(conninfo: str) -> dict[str, str]:
    """A connection string as PG* variables, for PostgreSQL's programs: a password must not stand in argv.

    Variables that the string leaves out are taken from our own environment, as libpq would.
    """
    parts = check_conninfo(conninfo)
    env: dict[str, str] = {}
    for option in pq.Conninfo.get_defaults():
        keyword, variable = option.keyword.decode(), (option.envvar or b"").decode()
        # What the string leaves empty is empty, as libpq has it: a server of ours says so of what isn't its own.
        value = parts[keyword] if keyword in parts else os.environ.get(variable)
        if variable and value:
            env[variable] = value
    if "PGSERVICEFILE" in os.environ:  # has a keyword only since libpq 18
        env["PGSERVICEFILE"] = os.environ["PGSERVICEFILE"]
    return env


def place(conninfo: str) -> str:
    """Where a connection string points to, in a few words: "tabsync on 127.0.0.1:5432"."""
    env = libpq_environment(conninfo)
    if "PGSERVICE" in env and "PGHOST" not in env:
        return f"service {env['PGSERVICE']}"
    host = env.get("PGHOST") or env.get("PGHOSTADDR") or "the local socket"
    return (
        f"{env.get('PGDATABASE') or env.get('PGUSER') or 'the default database'} on {host}:{env.get('PGPORT', '5432')}"
    )


def server_of(conninfo: str) -> str:
    """Which server a connection string points to, whatever the database: "127.0.0.1:5432"."""
    return place(conninfo).rpartition(" on ")[2]


def answers(conninfo: str) -> bool:
    """Whether a server answers there at all within a second or two, be it with a refusal; its words are not read.

    Without a bound one that is frozen would keep us for ever. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PQPING
    """
    bounded = make_conninfo(conninfo, connect_timeout=_PING)
    return pq.PGconn.ping(bounded.encode()) == pq.Ping.OK  # the C implementation gives a bare number
