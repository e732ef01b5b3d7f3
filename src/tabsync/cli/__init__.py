"""The command line: thin. Each chapter has one file here; everything heavy is imported inside the commands."""

from __future__ import annotations

import gc
import io
import sys

_OBJECTS = 50_000
"""That come between two collections: an import makes more of them than a command, and they all stay."""


def few_collections() -> None:
    """For the start of a program: with Python's own 700 a seventh of it was spent in looking for what may go."""
    gc.set_threshold(_OBJECTS)


def main() -> None:
    """The entry point of `tabsync`: runs a command and turns what went wrong into words and an exit code."""
    few_collections()
    from tabsync.cli.edge import exit_code_of, stop_on_sigterm
    from tabsync.cli.patient import open_closed, patient
    from tabsync.cli.profile import use_configured
    from tabsync.cli.tree import program

    stop_on_sigterm()
    closed = open_closed()
    sys.stdout, sys.stderr = (
        patient(number, passed=()) if number in closed else stream
        for number, stream in ((1, sys.stdout), (2, sys.stderr))
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may hold what the terminal's encoding, or any, doesn't have
            stream.reconfigure(errors="backslashreplace")
    try:
        use_configured(sys.argv[1:])
        code = program()(standalone_mode=False, prog_name="tabsync")  # click's own complaints are told like all others
        sys.exit(code if isinstance(code, int) else 0)
    except Exception as error:  # noqa: BLE001 - the edge: what isn't ours is translated or re-raised there
        sys.exit(_for_recovery(exit_code_of(error)))
    finally:
        gc.freeze()  # or Python looks through everything several times before it ends: a quarter of a short command


def _for_recovery(code: int) -> int:
    """An exit code that PostgreSQL doesn't take for the end of the WAL: of a restore_command that is mistyped.

    Anything up to 125 is "not there" to it, and it opens the cluster without what comes after:
    https://www.postgresql.org/docs/current/continuous-archiving.html
    """
    return 200 if sys.argv[1:3] == ["wal", "fetch"] else code
