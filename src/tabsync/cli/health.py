"""tabsync health."""

from __future__ import annotations

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, JsonOption


def health(config: ConfigOption = None, database: DatabaseOption = None, json: JsonOption = False) -> None:
    """Check that the database answers and the manual's key tables can be read.

    Exit code 0: all checks passed. 1: a check failed. 3: no connection.

    Example: tabsync health --database service=production
    """
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, load_manual, print_json, workspace
    from tabsync.kernel.errors import Exit
    from tabsync.kernel.units import human_seconds
    from tabsync.monitoring.health import check_health

    found = workspace(config, database)
    facts = check_health(found, load_manual(found))
    if json:
        print_json({"version": 1, "kind": "health", **facts})
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for check in facts["checks"]:
            mark = "[green]ok[/]" if check["ok"] else "[red]FAILED[/]"
            table.add_row(mark, Text(check["name"]), human_seconds(check["seconds"]), Text(check["error"]))
        out = console()
        out.print(table)
        for check in facts["checks"]:
            if check["hint"]:
                out.print(f"hint: {check['hint']}", markup=False)
        verdict = ("HEALTHY", "bold green") if facts["healthy"] else ("NOT HEALTHY", "bold red")
        out.print(Text.assemble(verdict, f": {facts['place']}"))
    if not facts["healthy"]:
        raise typer.Exit(int(Exit.PROBLEM_FOUND if facts["checks"][0]["ok"] else Exit.NOT_ALLOWED))
