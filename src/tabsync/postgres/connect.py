"""The one door to connections: every session of ours is named, bounded, and takes no preset of the other side.

The database is not ours. Its owner may have put functions and operators of PostgreSQL's names into a schema, a preset
may end the session or change what statements mean, a trigger on login may run as whoever logs in, and between us and
the server may be a pooler that gives our session to the application next. See settings.py, pooler.py, decision 0017.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, TypeAlias

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from tabsync.kernel.errors import CannotConnect, NotAllowed, Refused
from tabsync.postgres import settings
from tabsync.postgres.conninfo import check_conninfo, libpq_environment, place
from tabsync.postgres.pooler import shares_backends
from tabsync.postgres.queries import named
from tabsync.postgres.refusal import cannot_connect
from tabsync.postgres.settings import NO_LIMIT, SEARCH_PATH, Limits, as_options

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SQL = named(__package__, "session.sql")
_MARK = "tabsync.session"
"""A setting that nobody else knows: it shows whether start-up options arrived, or a pooler dropped them."""

_POOLERS_WORDS = ("options", "startup parameter")  # how a pooler refuses start-up options; poolers speak English


class _Text(Loader):
    """Text as the server gives it, bytes that are no UTF-8 as \\xe9.

    What all databases share (names of databases and roles, comments on them, the statements of pg_stat_activity) stands
    there in the encoding of whichever database wrote it, and comes to us as it stands:
    https://www.postgresql.org/docs/current/multibyte.html
    """

    def load(self, data: Buffer) -> str:
        """One value."""
        return str(data, "utf-8", "backslashreplace")


class _Takes(Enum):
    """Which start-up options a server takes from a user; found by trying, the strictest first."""

    EVERYTHING = auto()  # of a superuser, 17 and later: a trigger on login must be off before it fires
    ORDINARY = auto()  # of any role, 17 and later
    OLD = auto()  # of any role, on 15 and 16 too
    NOTHING = auto()  # through a pooler

    def settings(self) -> dict[str, str]:
        """The settings that go along as start-up options; first the one by which a server refuses EVERYTHING."""
        if self is _Takes.NOTHING:
            return {}
        since_17 = {} if self is _Takes.OLD else settings.SINCE_17
        if self is _Takes.EVERYTHING:
            return {**settings.SUPERUSER_SINCE_17, **settings.ALWAYS, **since_17, **settings.SUPERUSER}
        return {**settings.ALWAYS, **since_17}


class Shared(Refused):
    """A pooler gives our backend to others between transactions, with all that we set in it."""


@dataclass(slots=True)
class _Server:
    """What is known of a server as one user sees it. preset: what programs behind a pooler would run under."""

    takes: _Takes = _Takes.EVERYTHING
    met: bool = False
    superuser: bool = False
    encoding: str = ""
    preset: tuple[str, ...] = ()


_servers: dict[tuple[str, ...], _Server] = {}
"""For this process, so that not every session begins with a refusal, which is a line in the server's log."""


def connect(
    conninfo: str,
    purpose: str,
    *,
    limits: Limits | None = None,
    autocommit: bool = True,
    as_application: bool = False,
) -> Connection:
    """Open a session that names itself tabsync/<purpose>, is bounded, and resolves names in pg_catalog only.

    limits: how long it may wait and work; as_application: names are resolved as they are for the application.
    Raises CannotConnect with what to check, Refused behind a pooler that would pass on what we set.
    """
    check_conninfo(conninfo)
    server = _servers.setdefault(_key(conninfo), _Server())
    wanted = (limits or Limits()).settings()
    try:
        connection = _started(conninfo, purpose, wanted, server)
        try:
            _settle(connection, conninfo, purpose, wanted, server)
            if as_application:
                resolve_as_application(connection, local=False)
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as error:
        raise cannot_connect(error, conninfo) from None
    connection.autocommit = autocommit
    return connection


def connect_to_look(conninfo: str, purpose: str, limits: Limits) -> tuple[Connection, tuple[str, ...]]:
    """A session that is only read in, also behind a pooler in transaction mode. Gives what its transactions begin with.

    That is nothing where the session has its settings itself. Where its backend is shared, they last for a transaction,
    and decide what it means whatever others left there; nothing is asked outside of one. Raises CannotConnect.
    """
    try:
        return connect(conninfo, purpose, limits=limits), ()
    except Shared:
        server, wanted = _servers[_key(conninfo)], limits.settings()
        try:
            connection = _start(conninfo, purpose, wanted, _Takes.NOTHING)
        except psycopg.Error as error:
            raise cannot_connect(error, conninfo) from None
        filled = psycopg.ClientCursor(connection).mogrify
        here = {"search_path": SEARCH_PATH, "local": True}
        first = filled(_SQL["role"].encode(), here), filled(_SQL["settle"].encode(), _settling(server, wanted) | here)
        return connection, first


def program_environment(conninfo: str, purpose: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which PostgreSQL's programs open such sessions themselves: where to, as whom, settings.

    more: settings beside those of every session. Without limits: their own options bound them.
    Raises as connect(), and Refused where a pooler takes no start-up options and a preset would decide what they do.
    """
    server = _met(conninfo, purpose)
    if server.preset:
        raise Refused(
            f"a pooler is in front of {place(conninfo)}, and PostgreSQL's programs would run there under"
            f" {', '.join(server.preset)}, as set for the role or the database",
            "connect to the server itself, not to the pooler, or reset these settings: alter role ... reset all",
        )
    env = libpq_environment(conninfo) | {"PGAPPNAME": f"tabsync/{purpose}"}
    if server.encoding:  # pg_dump writes in it, and a preset one may not know all characters
        env["PGCLIENTENCODING"] = server.encoding
    given = server.takes.settings() | NO_LIMIT.settings() if server.takes is not _Takes.NOTHING else {}
    if given and server.superuser:
        given |= settings.SUPERUSER
    options = _joined(env.get("PGOPTIONS", ""), given | dict(more or {}))
    return env | ({"PGOPTIONS": options} if options else {})


def resolve_as_application(connection: Connection, *, local: bool) -> None:
    """Let names mean what they mean to the application: by the search_path that the database presets.

    From then on, whoever may create objects in its schemas decides what a statement of ours calls. local: until the
    end of the transaction.
    """
    connection.execute(_SQL["as_application"], {"local": local})


def resolve_in_catalog(connection: Connection, *, local: bool) -> None:
    """Take that back: names mean PostgreSQL's own objects."""
    connection.execute(_SQL["search_path"], {"search_path": SEARCH_PATH, "local": local})


def check_harmless(connection: Connection) -> None:
    """See that no setting spoils what is read or written, where the user may not set it back. Raises NotAllowed."""
    found = connection.execute(_SQL["values"], {"names": list(settings.HARMFUL)}).fetchall()
    for name, value in found:
        good, harm = settings.HARMFUL[name]
        if value != good:
            raise NotAllowed(f"{name} is {value} for this user: {harm}", f"as a superuser: alter role ... reset {name}")


@contextmanager
def allowed(what: str, hint: str) -> Iterator[None]:
    """Turn "permission denied" and timeouts inside the block into an error that names what was tried."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(f"not allowed to {what}: {error.diag.message_primary}", hint) from None
    except psycopg.errors.LockNotAvailable:
        raise NotAllowed(
            f"could not {what}: another session holds the lock", "to see which session: tabsync status"
        ) from None


def _started(conninfo: str, purpose: str, wanted: dict[str, str], server: _Server) -> Connection:
    """A session that began under as many of our settings as the server takes."""
    while True:
        takes = server.takes  # another thread may learn something meanwhile
        try:
            connection = _start(conninfo, purpose, wanted, takes)
        except psycopg.OperationalError as error:
            server.takes = _after_refusal(str(error), takes)
            if server.takes is takes:
                raise
            continue
        superuser = connection.info.parameter_status("is_superuser") == "on"
        if takes is _Takes.OLD and connection.info.server_version >= 170000:
            # It took event_triggers from nobody but a superuser; transaction_timeout it takes from everybody.
            server.takes = _Takes.EVERYTHING if superuser else _Takes.ORDINARY
            connection.close()
            continue
        server.superuser = superuser
        server.encoding = connection.info.parameter_status("server_encoding") or ""
        return connection


def _start(conninfo: str, purpose: str, wanted: dict[str, str], takes: _Takes) -> Connection:
    parts = libpq_environment(conninfo)
    own = parts.get("PGOPTIONS", "")
    ours = takes.settings() | wanted | {_MARK: "on"} if takes is not _Takes.NOTHING else {}
    connection = psycopg.connect(
        conninfo,
        autocommit=True,
        application_name=f"tabsync/{purpose}",
        client_encoding="UTF8",  # a database in SQL_ASCII would give its catalogs as bytes
        connect_timeout=parts.get("PGCONNECT_TIMEOUT", "10"),
        options=_joined(own, ours),
    )
    for kind in ("text", "varchar", "bpchar", "name"):
        connection.adapters.register_loader(kind, _Text)
    return connection


def _joined(own: str, ours: dict[str, str]) -> str:
    """Start-up options of the connection string, then ours, which win; but a role that somebody names there stays."""
    if re.search(r"\brole\s*=", own):
        ours = {name: value for name, value in ours.items() if name != "role"}
    return " ".join(filter(None, [own, as_options(ours)]))


def _after_refusal(message: str, takes: _Takes) -> _Takes:
    """What to try after a refusal. Names of settings are the same in each language of the server."""
    named_in = [name for name in takes.settings() if name in message]
    if takes is _Takes.EVERYTHING and named_in:
        return _Takes.OLD
    if takes is _Takes.ORDINARY and set(named_in) & settings.SINCE_17.keys():
        return _Takes.OLD
    if takes is not _Takes.NOTHING and (named_in or any(words in message for words in _POOLERS_WORDS)):
        return _Takes.NOTHING
    return takes


def _settle(connection: Connection, conninfo: str, purpose: str, wanted: dict[str, str], server: _Server) -> None:
    """Set what start-up options could not, and see who is at the other end."""
    here = {"pid": connection.info.backend_pid, "search_path": SEARCH_PATH}
    backend, arrived, _ = connection.execute(_SQL["who"], here).fetchone() or (0, None, None)
    pooled = backend != connection.info.backend_pid
    takes = server.takes
    if pooled and shares_backends(connection, lambda: _start(conninfo, purpose, wanted, takes)):
        raise Shared(
            f"a pooler in transaction mode is in front of {place(conninfo)}: the application would get our settings",
            "connect to the server itself (PostgreSQL's own port, usually 5432) or to a pool in session mode",
        )
    if pooled:
        connection.execute(_SQL["role"], here | {"local": False})
    changed = connection.execute(_SQL["settle"], _settling(server, wanted) | {"local": False}).fetchall()
    if not arrived:
        server.takes = _Takes.NOTHING
        server.preset = tuple(sorted({row[0] for row in changed} & settings.DECIDE))
    server.met = True


def _settling(server: _Server, wanted: dict[str, str]) -> dict[str, list[str]]:
    given = dict(settings.ALWAYS) | settings.OURS | settings.WHERE_KNOWN | settings.SINCE_17 | wanted
    if server.superuser:
        given |= settings.SUPERUSER | settings.SUPERUSER_SINCE_17
    return {"names": list(given), "values": list(given.values())}


def _met(conninfo: str, purpose: str) -> _Server:
    """What is known of a server; it is asked when nothing is. A database that is to be made is like its neighbours."""
    key = _key(conninfo)
    server = _servers.setdefault(key, _Server())
    if not server.met:
        try:
            connect(conninfo, purpose).close()
        except CannotConnect:
            beside = [one for other, one in _servers.items() if other[:-1] == key[:-1] and one.met]
            if not beside:
                raise
            return replace(beside[0], encoding="")
    return server


def _key(conninfo: str) -> tuple[str, ...]:
    env = libpq_environment(conninfo)
    return tuple(env.get(name, "") for name in ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE"))
