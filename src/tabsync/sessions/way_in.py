"""The way in: how the commands of this chapter reach the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tabsync.kernel.errors import FailedPartway, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection, connect_to_look
from tabsync.sessions.statements import LIMITS, NOT_ALLOWED, Said, ask

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


class _Asked(Protocol):
    """Whoever answers the statements of this chapter."""

    def __call__(self, name: str, several: Sequence[Mapping[str, object]]) -> list[Said]:
        """What a statement gave, with each of several sets of values."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the server. told: through what it goes, in words, "" when that is a session of this command."""

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
    """A way to the server that is looked after. Raises CannotConnect when there is none."""
    connection, first = connect_to_look(workspace.conninfo, purpose, LIMITS)
    with connection:
        yield Way(_through(connection, first))


def _through(connection: Connection, first: Sequence[str]) -> _Asked:
    return lambda name, several: ask(connection, first, name, several)


def here(way: Way) -> Facts:
    """Which database this is, as whom we look, and how many connections are used; see sessions.sql."""
    row = way.one("here")
    row["system_identifier"] = None
    if row.pop("may_read_system_identifier"):
        row["system_identifier"] = way.one("system_identifier")["system_identifier"]
    return row


def prove_same(found: Facts, expected: Facts) -> None:
    """Refuse when the server is not the one that the plan was made for (a moved DNS name, a failover)."""
    for what in ("system_identifier", "database", "database_oid"):
        if found[what] != expected[what]:
            raise Refused(
                f"the plan was made for another database: {what} is {found[what]}, not {expected[what]}",
                "check which database the connection string names: tabsync health",
            )
