"""tabsync init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabsync.cli.common import DryRunOption, JsonOption, YesOption


def init(
    url: Annotated[
        str,
        typer.Argument(help="Connection string: URL, 'service=NAME' or keywords; not needed if PG* variables are set."),
    ] = "",
    directory: Annotated[Path, typer.Option(help="Where to write the two files.")] = Path(),
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Read a database's catalog and write tabsync.toml and manual.md for it: tables, enums, roles, provider.

    The database is only read. A password in the URL is not written down.

    Example: tabsync init postgresql://me@db.example.com/shop
    """
    from tabsync.cli.common import carry_out, console, print_json, show_plan
    from tabsync.init.plan import plan_init
    from tabsync.workspace import Workspace

    base = directory.resolve()
    plan = plan_init(url, base)
    if dry_run:
        show_plan(plan, json=json)
        return
    home = base / ".tabsync"
    found = Workspace(home, url, base / "backups", base / "manual.md", f"sqlite:///{home / 'ledger.sqlite'}")
    outcome = carry_out(found, plan, json=json, yes=yes)
    if json:
        print_json({"version": 1, "kind": "init", "run": outcome.run_id, "files": list(outcome.results.values())})
        return
    out = console()
    out.print(f"{plan.title}: done.", markup=False)
    out.print(
        "Next: read manual.md, which is now your policy; then run: tabsync manual check, tabsync health, tabsync drill"
    )
