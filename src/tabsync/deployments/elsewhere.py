"""Whether a command that is to run on a copy has connected to the real database all the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg.rows import dict_row

from tabsync.deployments.begin import LIMITS
from tabsync.deployments.watch import ports_of
from tabsync.kernel.errors import TabsyncError
from tabsync.migrations.find import histories
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
        self._before = self._shape()
        row = self._connection.execute(_SQL["now"]).fetchone() if self._connection is not None else None
        self._since = str(row[0]) if row else "-infinity"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def changed(self) -> str:
        """What of the real database changed since, in words: its histories, or its tables; "" for nothing."""
        after = self._shape()
        if self._before is None or after is None:
            return ""
        return ", ".join(what for what in after if after[what] != self._before[what])

    def _shape(self) -> dict[str, str] | None:
        """Its histories and its catalog, to be compared; None when it can't be looked at."""
        if self._connection is None:
            return None
        try:
            both, _ = histories(self._connection, None)
            with self._connection.cursor(row_factory=dict_row) as cursor:
                row = cursor.execute(_SQL["shape"]).fetchone()
        except (psycopg.Error, TabsyncError):
            return None
        noted = "|".join(f"{one.table} {each.name} {each.state}" for _, one in both for each in one.migrations)
        return {"the history of migrations": noted, "its tables": str(row and row["shape"])}

    def look(self) -> bool:
        """Whether there is one by now."""
        ports = list(ports_of(self._run_id, but=self._copy_port)) if self._connection is not None else []
        if not ports or self._connection is None:
            return False
        with suppress(psycopg.Error), self._connection.cursor(row_factory=dict_row) as cursor:
            seen = cursor.execute(_SQL["sessions"], {"ports": ports, "name": "", "since": self._since}).fetchall()
            seen = [one for one in seen if one["client_port"] in ports]
            self.found = seen[0]["pid"] if seen else 0
        return bool(self.found)


def sessions_since(log: Path, at: int) -> int:
    """How many sessions of others a server has let in. log: its log, with log_connections; at: from which byte."""
    with log.open("rb") as file:
        file.seek(at)
        lines = [line for line in file if b"connection authorized:" in line]
    return sum(b"application_name=tabsync/" not in line for line in lines)
