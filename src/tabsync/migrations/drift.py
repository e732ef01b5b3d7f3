"""Drift, which no status of migrations sees. The tool's own check is run where it is at hand, and only if asked for.

It runs the application's code with our rights. It gets the address of the database, and nothing else that is ours.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.migrations.checks import Check, check_of
from tabsync.migrations.histories.history import History
from tabsync.postgres.conninfo import check_conninfo, libpq_environment
from tabsync.providers.command import told
from tabsync.system.commands import run_command

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_TIMEOUT = 120.0  # seconds
_LINE = 200  # characters
_QUIET = {"CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
_READ_ONLY = "-c default_transaction_read_only=on"


@dataclass(frozen=True, slots=True)
class Drift:
    """What came of a check. verdict: none, drift or unknown; says: what was compared, or why it is unknown."""

    tool: str
    verdict: str
    says: str
    command: str = ""
    folder: str = ""
    output: tuple[str, ...] = ()

    def to_json(self) -> Facts:
        """It for programs."""
        return asdict(self)


def drifts(workspace: Workspace, found: Sequence[History], project: Path, variables: Sequence[str]) -> list[Drift]:
    """The check of each tool that has a history. project: the folder, from which its files are looked for upwards.

    variables: names of our environment that the tool gets, too. Raises BadUsage when one is not set.
    """
    if absent := [name for name in variables if name not in os.environ]:
        raise BadUsage(f"the variable {absent[0]} is not set")
    passed = {name: os.environ[name] for name in variables}
    environment = _environment(workspace) | passed
    secrets = [environment["DATABASE_URL"], environment.get("PGPASSWORD", ""), *passed.values()]
    checks = ((one.tool, check_of(one.tool, project.resolve())) for one in found)
    return [_ran(tool, check, environment, secrets) for tool, check in checks]


def _ran(tool: str, check: Check | str, environment: dict[str, str], secrets: Sequence[str]) -> Drift:
    if isinstance(check, str):
        return Drift(tool, "unknown", check)
    where = shlex.join(check.argv), str(check.folder)
    try:
        ended = run_command(check.argv, env=environment, timeout=_TIMEOUT, cwd=check.folder)
    except TabsyncError as error:
        return Drift(tool, "unknown", error.fact, *where)
    lines = tuple(one[:_LINE] for one in told(ended, secrets))
    drift = check.drift(ended.code, "\n".join((ended.stdout, *ended.stderr)))
    if drift is None:
        return Drift(tool, "unknown", f"the check ended with exit code {ended.code}", *where, lines)
    return Drift(tool, "drift" if drift else "none", check.compares, *where, lines if drift else ())


def _environment(workspace: Workspace) -> dict[str, str]:
    """Where the database is, as tools read it: DATABASE_URL and PG*. Sessions of libpq are read-only."""
    with workspace.connect("migrations") as connection:
        info = connection.info
        host, port, user, database, password = info.host, info.port, info.user, info.dbname, info.password
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place, local = ("localhost", [f"host={quote(host, safe='')}"]) if host.startswith("/") else (host, [])
    given = check_conninfo(workspace.conninfo)
    more = local + [f"{name}={quote(given[name], safe='')}" for name in ("sslmode", "sslrootcert") if name in given]
    inside = f"[{place}]" if ":" in place else place
    url = f"postgresql://{who}@{inside}:{port}/{quote(database, safe='')}" + ("?" + "&".join(more) if more else "")
    own = libpq_environment(workspace.conninfo)
    options = " ".join(one for one in (own.get("PGOPTIONS", ""), _READ_ONLY) if one)
    secret = {"PGPASSWORD": password} if password else {}
    return _QUIET | own | secret | {"DATABASE_URL": url, "PGOPTIONS": options}
