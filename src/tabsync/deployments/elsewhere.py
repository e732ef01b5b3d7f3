"""Whether a command that is to run on a copy has connected to the real database all the same."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg.rows import dict_row

from tabsync.deployments.begin import LIMITS
from tabsync.deployments.watch import ports_of
from tabsync.kernel.errors import TabsyncError
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.postgres.connect import Connection
    from tabsync.workspace import Workspace

_SQL = named(__package__, "deployments.sql")


class Elsewhere:
    """A session to the real database that looks for those of a command. found: the process id of one, 0 for none.

    watches: whether it could be looked at; where the database is down there is nothing to harm.
    """

    def __init__(self, workspace: Workspace, run_id: str, copy_port: int) -> None:
        self.found = 0
        self._run_id, self._copy_port = run_id, copy_port
        self._connection: Connection | None = None
        with suppress(TabsyncError, psycopg.Error):
            self._connection = workspace.connect("deployments", LIMITS)
        self.watches = self._connection is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def look(self) -> bool:
        """Whether there is one by now."""
        ports = list(ports_of(self._run_id, but=self._copy_port)) if self._connection is not None else []
        if not ports or self._connection is None:
            return False
        with suppress(psycopg.Error), self._connection.cursor(row_factory=dict_row) as cursor:
            seen = cursor.execute(_SQL["sessions"], {"ports": ports, "name": ""}).fetchall()
            seen = [one for one in seen if one["client_port"] in ports]
            self.found = seen[0]["pid"] if seen else 0
        return bool(self.found)
