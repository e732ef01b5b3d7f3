"""psql runs a script that somebody else wrote: all of it or nothing, and no command of psql's own."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from tabsync.kernel.errors import FailedPartway
from tabsync.postgres.connect import program_environment
from tabsync.postgres.installation import Installation
from tabsync.system.programs import Finished, run_program

_RESTRICT_SINCE = {15: 14, 16: 10, 17: 6}
"""The minor releases whose psql knows \\restrict, CVE-2025-8714; 18 always did."""

_SAYS = re.compile(r"psql:.*:(\d+): \S+:  +(.*)")
_DETAIL = re.compile(r"[^\W\d_a-zß-ÿ]+:  +(.*)")


def run_script(clients: Installation, script: Path, conninfo: str, claim: Path) -> None:
    """Run a script in one transaction; the first error ends it, and nothing of it stays.

    clients: whose psql; claim: the directory it works for. Raises FailedPartway naming that error.
    """
    key = secrets.token_hex(16)  # who doesn't know it can't lift the restriction
    done = run_program(
        script_command(clients, script, key),
        env=program_environment(conninfo, "restore"),
        claim=claim,
    )
    if done.code != 0:
        raise FailedPartway(
            f"the script failed: {why(done)}",
            "nothing of it was kept; check whether it needs roles or extensions that this server lacks",
        )


def why(done: Finished) -> str:
    """The error that ended a script, with its place in the script and its details, in whatever language."""
    errors = [number for number, line in enumerate(done.stderr) if _SAYS.match(line)]
    if not errors:
        return done.complaint()
    last = errors[-1]  # what came before were warnings
    match = _SAYS.match(done.stderr[last])
    details = [found[1] for line in done.stderr[last + 1 :] if (found := _DETAIL.match(line))]
    told = f"{match[2]} (line {match[1]})" if match else done.stderr[last]
    return told + (f": {'; '.join(details)}" if details else "")


def script_command(clients: Installation, script: Path, key: str = "KEY") -> list[str]:
    """psql, in one transaction, restricted to SQL: no command to itself is run, so none to the shell.

    https://www.postgresql.org/docs/current/app-psql.html (\\restrict); programs of before August 2025 don't know it.
    """
    options = ["--no-psqlrc", "--quiet", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    newest_without = _RESTRICT_SINCE.get(clients.major, 0) - 1
    restrict = [f"--command=\\restrict {key}"] if clients.version[1] > newest_without else []
    return [str(clients.program("psql")), *options, "--output=/dev/null", *restrict, f"--file={script}"]
