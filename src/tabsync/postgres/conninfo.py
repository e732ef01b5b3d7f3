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

_SECRET = {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}


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


def place(conninfo: str) -> str:
    """Where a connection string points to, in a few words: "tabsync on 127.0.0.1:5432"."""
    env = libpq_environment(conninfo)
    if "PGSERVICE" in env and "PGHOST" not in env:
        return f"service {env['PGSERVICE']}"
    host = env.get("PGHOST") or env.get("PGHOSTADDR") or "the local socket"
    return (
        f"{env.get('PGDATABASE') or env.get('PGUSER') or 'the default database'} on {host}:{env.get('PGPORT', '5432')}"
    )
