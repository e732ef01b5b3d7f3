"""tabsync backup query, cool."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.backups.query import Answer


def query(
    which: Annotated[str, typer.Argument(metavar="BACKUP", help="A backup's id, latest, or warm.")],
    statement: Annotated[str, typer.Argument(help="One SELECT.")],
    timeout: Annotated[float, typer.Option(help="Seconds after which the statement is cancelled.")] = 60,
    limit: Annotated[int, typer.Option(help="Maximum number of rows to print.")] = 1_000,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Run a SELECT in a copy of a backup.

    With a warm copy this takes a second; otherwise the tables of the statement are restored first. The statement runs
    as a read-only role in a scratch server, which is stopped afterwards.
    """
    from tabsync.backups.query import answered, asked_json, plan_query
    from tabsync.cli.common import listener, print_json, show_plan, workspace
    from tabsync.kernel.errors import BadUsage

    if as_csv and json:
        raise BadUsage("--csv can't be used with --json", "give one of the two")
    if timeout <= 0 or limit < 1:
        raise BadUsage("--timeout and --limit must be greater than 0", "tabsync backup query --help")
    found = workspace(config, database, store)
    if dry_run:
        show_plan(plan_query(found, which, statement, timeout=timeout, limit=limit)[0], json=json)
        return
    shown = listener(json=json)
    with answered(found, which, statement, timeout=timeout, limit=limit, listener=shown) as answer:
        if json:
            print_json({"version": 1, "kind": "answer", **asked_json(answer)})
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows(answer.rows)
        else:
            _show(answer)


def cool(
    backup: Annotated[str, typer.Argument(help="The backup whose warm copy is deleted (default: all of them).")] = "",
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Delete warm copies, made by drill --keep-warm. The backups are kept."""
    from tabsync.copies.warm import plan_cool
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace

    found = workspace(config)
    plan = plan_cool(found, backup)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json)
    deleted = [facts["backup"] for facts in outcome.results.values()]
    if json:
        print_json({"version": 1, "kind": "cooled", "run": outcome.run_id, "backups": deleted})
    else:
        console().print(f"Deleted the warm copy of {', '.join(deleted)}.", markup=False)


def _show(answer: Answer) -> None:
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, note
    from tabsync.kernel.clock import parse_iso
    from tabsync.kernel.units import human_seconds

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in answer.columns:
        table.add_column(Text(name), overflow="fold")
    for row in answer.rows:
        table.add_row(*(Text("NULL", style="dim") if one is None else Text(one) for one in row))
    out = console()
    if answer.columns:
        out.print(table)
    local = parse_iso(answer.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    rows = "1 row" if answer.count == 1 else f"{answer.count:,} rows"
    out.print(
        f"{rows} from {answer.source}, as of {local}, in {human_seconds(answer.seconds)}.", markup=False, style="dim"
    )
    if answer.more:
        note("there are more rows: --limit")
