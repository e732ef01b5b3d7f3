"""The command line: thin. Each chapter has one file here; everything heavy is imported inside the commands."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point of `tabsync`: runs a command and turns what went wrong into words and an exit code."""
    from tabsync.cli.app import app
    from tabsync.cli.edge import exit_code_of, stop_on_sigterm
    from tabsync.kernel.errors import TabsyncError

    stop_on_sigterm()
    try:
        code = app(standalone_mode=False)  # typer's own complaints are told like all others
        sys.exit(code if isinstance(code, int) else 0)
    except TabsyncError as error:
        sys.exit(exit_code_of(error))
    except Exception as error:  # noqa: BLE001 - the edge: what isn't ours is translated or re-raised there
        sys.exit(exit_code_of(error))
