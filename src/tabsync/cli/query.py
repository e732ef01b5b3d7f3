"""tabsync backup query: the answer is printed while it is there, and gone afterwards."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabsync.backups.procedures.query import Query
    from tabsync.backups.query import Answer
    from tabsync.cli.terminal import Terminal


def query_command(terminal: Terminal, request: Query) -> None:
    """Run a SELECT in a copy of a backup, and print what it gives."""
    from tabsync.backups.query import answered, asked_json, plan_query
    from tabsync.cli.terminal import print_json
    from tabsync.kernel.errors import BadUsage

    if request.as_csv and terminal.json:
        raise BadUsage("--csv can't be used with --json", "give one of the two")
    if request.timeout <= 0 or request.limit < 1:
        raise BadUsage("--timeout and --limit must be greater than 0", "tabsync backup query --help")
    found, asked = terminal.workspace(), (request.which, request.statement)
    limits = {"timeout": request.timeout, "limit": request.limit}
    if terminal.dry_run:
        terminal.plan(plan_query(found, *asked, **limits)[0])  # type: ignore[arg-type]
        return
    with answered(found, *asked, **limits, listener=terminal.listener()) as answer:  # type: ignore[arg-type]
        if terminal.json:
            print_json({"version": 1, "kind": "answer", **asked_json(answer)})
        elif request.as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows(answer.rows)
        else:
            _show(terminal, answer)


def _show(terminal: Terminal, answer: Answer) -> None:
    from tabsync.kernel.clock import parse_iso
    from tabsync.kernel.page import Cell, Page
    from tabsync.kernel.units import human_seconds

    page = Page("answer")
    if answer.columns:
        null: Cell = ("NULL", "quiet")
        page.table(answer.columns, ([null if one is None else one for one in row] for row in answer.rows))
    local = parse_iso(answer.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    rows = "1 row" if answer.count == 1 else f"{answer.count:,} rows"
    page.line(f"{rows} from {answer.source}, as of {local}, in {human_seconds(answer.seconds)}.", style="quiet")
    if answer.more:
        page.note("there are more rows: --limit")
    terminal.page(page)
