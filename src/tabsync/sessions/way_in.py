"""The way in: how the commands of this chapter reach the server, also when it takes no more connections.

As always; else through the session that the service keeps; else by what `[emergency] databases` names: a superuser's
slots, or a pooler's own pool. Why each of them can get in: docs/decisions/0030-a-way-in.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import CannotConnect, FailedPartway, NotAllowed, Refused, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import quoted
from tabsync.postgres.connect import Connection, connect_to_look
from tabsync.postgres.conninfo import libpq_environment, place
from tabsync.postgres.refusal import may_be_full
from tabsync.postgres.settings import Limits
from tabsync.sessions.emergency import Emergency, call, socket_of
from tabsync.sessions.statements import LIMITS, NOT_ALLOWED, Said, ask

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_PATIENCE = 5.0  # seconds for a pooler that lets us in and gives no server, while there is another way
_Opened = tuple[Connection, tuple[str, ...]]


class _Asked(Protocol):
    """Whoever answers the statements of this chapter."""

    def __call__(self, name: str, several: Sequence[Mapping[str, object]]) -> list[Said]:
        """What a statement gave, with each of several sets of values."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the server. told: through what it goes, in words, "" when that is an ordinary session of ours."""

    ask: _Asked
    told: str = ""

    def rows(self, name: str, **values: object) -> list[Facts]:
        """The rows of a statement. Raises NotAllowed, or FailedPartway with the server's words."""
        (said,) = self.ask(name, [values])
        if said.sqlstate == NOT_ALLOWED:
            raise NotAllowed(f"not allowed: {said.error}", "to see which role it is: tabsync connections show")
        if said.error:
            raise FailedPartway(f"the server did not answer: {said.error}", "try again; see also: tabsync health")
        return said.rows

    def one(self, name: str, **values: object) -> Facts:
        """The only row of a statement. Raises as rows()."""
        return self.rows(name, **values)[0]


@contextmanager
def way_in(workspace: Workspace, purpose: str) -> Iterator[Way]:
    """A way to the server that is looked after. Raises CannotConnect when there is none, and says what is missing."""
    with ExitStack() as stack:
        try:
            way = _directly(workspace, purpose, stack)
        except CannotConnect as error:
            if not may_be_full(error):
                raise
            way = _otherwise(workspace, purpose, stack, error)
        yield way


def _directly(workspace: Workspace, purpose: str, stack: ExitStack) -> Way:
    def opened() -> _Opened:
        return connect_to_look(workspace.conninfo, purpose, LIMITS)

    another = bool(workspace.emergency) or socket_of(workspace).exists()
    found = _in_time(opened, place(workspace.conninfo)) if another else opened()
    return _through(found, stack, "")


def _otherwise(workspace: Workspace, purpose: str, stack: ExitStack, first: CannotConnect) -> Way:
    """Another way than the ordinary one. first: why that one is closed."""
    tried: list[str] = []
    try:
        service = stack.enter_context(_closing(workspace))
        user = quoted(str(service.hello()["user"]))
        return Way(service.ask, f"the session that tabsync serve keeps, as {user}")
    except OSError:
        tried.append("no tabsync serve keeps a session in this home")
    except TabsyncError as error:
        tried.append(error.fact)
    if found := _emergency(workspace, purpose, tried):
        return _through(found[0], stack, f"[emergency] databases, {found[1]}")
    if not workspace.emergency:
        tried.append("[emergency] databases names nothing")
    raise CannotConnect(f"{first.fact}; and there is no other way in: {'; '.join(tried)}", missing(workspace))


def _emergency(
    workspace: Workspace, purpose: str, tried: list[str], limits: Limits = LIMITS
) -> tuple[_Opened, str] | None:
    """The first session that [emergency] databases gives, and where to. tried: gets why the others gave none."""
    for given in workspace.emergency:
        conninfo = _same_database(given, workspace.conninfo)
        try:
            found = _in_time(lambda to=conninfo: connect_to_look(to, purpose, limits), place(conninfo))  # type: ignore[misc]
        except (CannotConnect, Refused) as error:
            tried.append(error.fact)
        else:
            return found, place(conninfo)
    return None


@contextmanager
def session_in(workspace: Workspace, purpose: str, limits: Limits = LIMITS) -> Iterator[Connection]:
    """A session for what has to be named in its SQL, so that the service can't be asked for it.

    Raises CannotConnect, and Refused where a pooler gives our session to others.
    """
    with ExitStack() as stack:
        try:
            connection = workspace.connect(purpose, limits)
        except CannotConnect as error:
            found = _emergency(workspace, purpose, [], limits) if may_be_full(error) else None
            if found is None or found[0][1]:
                raise
            connection = found[0][0]
        yield stack.enter_context(connection)


def missing(workspace: Workspace) -> str:
    """What would let us in the next time."""
    user = quoted(libpq_environment(workspace.conninfo).get("PGUSER") or "ROLE")
    return (
        "restart the application to free connections; to get in the next time: keep tabsync serve running, "
        "name a superuser's connection in [emergency] databases, or on 16 and later, with reserved_connections set: "
        f"grant pg_use_reserved_connections, pg_signal_backend to {user}"
    )


@contextmanager
def _closing(workspace: Workspace) -> Iterator[Emergency]:
    service = call(workspace)
    try:
        yield service
    finally:
        service.close()


def _through(found: _Opened, stack: ExitStack, told: str) -> Way:
    connection, first = found
    stack.enter_context(connection)
    return Way(lambda name, several: ask(connection, first, name, several), told)


def _same_database(given: str, ours: str) -> str:
    """A connection string of [emergency], to the database that is looked after where it names none itself."""
    parts = conninfo_to_dict(given)
    if "dbname" in parts or "service" in parts:
        return given
    return make_conninfo(given, dbname=libpq_environment(ours).get("PGDATABASE", ""))


def _in_time(opening: Callable[[], _Opened], where: str) -> _Opened:
    """Open a session within a time: a pooler whose pool is full lets us in, and then gives no answer for minutes."""
    found: list[_Opened] = []
    failed: list[BaseException] = []
    over = threading.Event()

    def open_it() -> None:
        try:
            opened = opening()
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            failed.append(error)
            return
        if over.is_set():
            opened[0].close()
        else:
            found.append(opened)

    thread = threading.Thread(target=open_it, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if thread.is_alive():
        over.set()
        raise CannotConnect(f"can't connect to {where}: no answer within {_PATIENCE:.0f} s", "tabsync health")
    if failed:
        raise failed[0]
    return found[0]


def here(way: Way) -> Facts:
    """Which database this is, as whom we look, and how many connections are used; see sessions.sql."""
    row = way.one("here")
    row["system_identifier"] = None
    if row.pop("may_read_system_identifier"):
        row["system_identifier"] = way.one("system_identifier")["system_identifier"]
    return row


def prove_same(found: Facts, expected: Facts) -> None:
    """Refuse when the server is not the one that the plan was made for (a moved DNS name, a failover).

    Not each role may read the system identifier, and the way in may be another one by now.
    """
    for what in ("system_identifier", "database", "database_oid"):
        if found[what] != expected[what] and None not in (found[what], expected[what]):
            raise Refused(
                f"the plan was made for another database: {what} is {found[what]}, not {expected[what]}",
                "check which database the connection string names: tabsync health",
            )
