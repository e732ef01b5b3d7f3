"""The environment of a rehearsal: every way to name a database leads to the copy, and none is left to another one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from tabsync.deployments.environment import RUN, urls_in, with_database
from tabsync.kernel.errors import Refused

_OTHER_WAYS = ("PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGREQUIREPEER", "PGCHANNELBINDING", "PGPASSFILE")
_POSTGRES = re.compile(r"(?:jdbc:)?(?:postgres|postgis|psql|pgsql|ecto|cockroach)[a-z0-9+_]*:", re.IGNORECASE)
_URL = re.compile(r"[a-z][\w+.-]*://[^\s]*@", re.IGNORECASE)
_NO_DATABASES = ("http:", "https:", "redis", "amqp", "smtp", "ssh:", "git")
_SHORTEST = 6  # characters of a password that can't be a part of something else


def url_of(copy: str) -> str:
    """The copy as a URL, with its password. copy: its connection string, with a passfile."""
    given = {name: str(value) for name, value in conninfo_to_dict(copy).items()}
    password = Path(given["passfile"]).read_text().strip().rpartition(":")[2]
    return f"postgresql://{given['user']}:{password}@127.0.0.1:{given['port']}/{quote(given['dbname'], safe='')}"


def pointed(own: Mapping[str, str], url: str, copy: str, run_id: str) -> dict[str, str]:
    """An environment that leads to the copy.

    A URL that is understood keeps its scheme and the parameters of its driver; one that isn't, or a connection string
    of keywords, becomes the copy's as a whole. DATABASE_URL is always set.
    """
    given = conninfo_to_dict(copy)
    understood = {one.name: with_database(one, url) for one in urls_in(own)}
    environment = {name: value for name, value in own.items() if name not in _OTHER_WAYS}
    for name, value in own.items():
        if name in understood:
            environment[name] = understood[name]
        elif _POSTGRES.match(value) or _is_conninfo(value):
            environment[name] = url
    environment["DATABASE_URL"] = understood.get("DATABASE_URL", url)
    named = {"PGHOST": "127.0.0.1", "PGPORT": str(given["port"]), "PGUSER": str(given["user"])}
    named |= {"PGDATABASE": str(given["dbname"]), "PGPASSWORD": unquote(url.split(":")[2].split("@")[0])}
    return environment | named | {"PGSSLMODE": "disable", RUN: run_id}


def check_nowhere_else(environment: Mapping[str, str], url: str, real: str) -> None:
    """See that no variable names the real database any more, or any other.

    real: its connection string. Raises Refused, naming the variable: the command could go there.
    """
    mine = url.partition("://")[2]
    for name, value in environment.items():
        if mine in value or name.startswith(("PG", "TABSYNC_")):
            continue
        if _URL.match(value) and not value.lower().startswith(_NO_DATABASES):
            raise Refused(f"the variable {name} holds a URL that may lead to a database", _remedy(name))
        if value in _names_of(real):
            raise Refused(f"the variable {name} names the real database, or its server", _remedy(name))


def _names_of(real: str) -> set[str]:
    """By what a variable would name it: its host, its name, its password."""
    given = {name: str(value) for name, value in conninfo_to_dict(real).items() if value}
    hosts = [one for one in f"{given.get('host', '')},{given.get('hostaddr', '')}".split(",") if one]
    password = given.get("password", "")
    return {*hosts, *([password] if len(password) >= _SHORTEST else [])}


def _remedy(name: str) -> str:
    return f"run it without: env -u {name} tabsync migration rehearse ...; it gets DATABASE_URL and the PG* variables"


def _is_conninfo(value: str) -> bool:
    """Whether it is a connection string of keywords, that names a place."""
    if "=" not in value or "://" in value:
        return False
    try:
        found = conninfo_to_dict(value)
    except ProgrammingError:
        return False
    return bool(found.keys() & {"host", "hostaddr", "dbname", "service"})
