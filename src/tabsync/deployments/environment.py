"""The environment of a deployment: how long its sessions wait for a lock, told the ways that its driver may know. Pure.

libpq and node-postgres read PGOPTIONS; a URL's parameter `options` is read by these, by Prisma's engine and by JDBC.
https://www.postgresql.org/docs/current/libpq-envars.html
https://jdbc.postgresql.org/documentation/use/#connection-parameters
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

RUN = "TABSYNC_DEPLOYMENT"
"""The variable by which the processes of a deployment are known; its value is the id of its run."""

_URL = re.compile(r"(?:jdbc:)?postgres(?:ql)?(?:\+[a-z0-9_]+)?://", re.IGNORECASE)
_KNOWN = {  # parameters of a URL that libpq knows; others are of the application's driver
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "channel_binding",
}


@dataclass(frozen=True, slots=True)
class Url:
    """A variable that holds a connection string. conninfo: as libpq takes it; options: what it sets already."""

    name: str
    value: str
    conninfo: str
    options: str = ""


def urls_in(environment: Mapping[str, str]) -> list[Url]:
    """The variables that hold the URL of a PostgreSQL database, by name."""
    return [found for name in sorted(environment) if (found := _url(name, environment[name])) is not None]


def waiting(options: str, milliseconds: int) -> str:
    """Options of a session with a bound for waiting; one that is set already stays."""
    return options if "lock_timeout" in options else f"{options} -c lock_timeout={milliseconds}".strip()


def with_options(url: Url, options: str) -> str:
    """The same URL with other options."""
    base, mark, query = url.value.partition("?")
    kept = [one for one in query.split("&") if one and not one.startswith("options=")] if mark else []
    return "?".join([base, "&".join([*kept, f"options={quote(options, safe='')}"])])


def with_database(url: Url, conninfo_url: str) -> str:
    """The same variable pointed to another database: its scheme and the parameters of its driver stay.

    conninfo_url: "postgresql://user@host:port/dbname", as for libpq.
    """
    scheme = _URL.match(url.value)
    begin = scheme.group() if scheme else "postgresql://"
    _, _, query = url.value.partition("?")
    rest = conninfo_url.partition("://")[2]
    if begin.lower().startswith("jdbc:"):  # it takes no user before the host
        user, at, rest = rest.rpartition("@")
        query = "&".join(filter(None, [f"user={user}" if at else "", _without(query, "user", "password")]))
    query = _without(query, "host", "port", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "pgbouncer")
    return f"{begin}{rest}" + (f"?{query}" if query else "")


def _without(query: str, *names: str) -> str:
    return "&".join(one for one in query.split("&") if one and one.partition("=")[0] not in names)


def _url(name: str, value: str) -> Url | None:
    scheme = _URL.match(value)
    if scheme is None:
        return None
    base, _, query = value.partition("?")
    try:
        parts = urlsplit("postgresql://" + base[scheme.end() :])
        given = dict(parse_qsl(query, keep_blank_values=True))
        _ = parts.port
    except ValueError:
        return None
    known = "&".join(f"{key}={quote(given[key], safe='')}" for key in given if key in _KNOWN)
    conninfo = f"postgresql://{parts.netloc}{parts.path}" + (f"?{known}" if known else "")
    return Url(name, value, conninfo, unquote(given.get("options", "")))
