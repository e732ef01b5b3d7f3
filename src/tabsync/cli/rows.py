"""tabsync restore rows: the difference is shown, then written; the second plan is what the first one found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from tabsync.backups.procedures.rows import Rows
    from tabsync.backups.restore.rows.restore import Difference
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


def rows_command(terminal: Terminal, request: Rows) -> None:
    """Compare rows with a backup, show the difference, and write what is missing."""
    from tabsync.backups.restore.rows.asked import asked_of
    from tabsync.backups.restore.rows.restore import compared, plan_write_rows
    from tabsync.backups.restore.server import check_writable
    from tabsync.cli.terminal import print_json
    from tabsync.kernel.errors import BadUsage, Refused

    request.check()
    if request.undo is not None:
        _undo(terminal, request.undo, without_triggers=request.without_triggers)
        return
    question = asked_of(request.as_of, request.transaction, request.by, request.secrets_from)
    if request.table is None or (request.where is None and not question.bounded):
        raise BadUsage(
            "--table and --where are needed: they choose the rows",
            "tabsync restore rows --table users --where \"id = '...'\"",
        )
    found, expect = terminal.workspace(), request.expect
    if not terminal.dry_run:  # to compare with, a standby will do
        check_writable(found)
    how = {name: getattr(request, name) for name in ("replace", "without_triggers", "without_secrets")}
    wanted = (request.table, request.where or "", request.chosen_source)
    shown, along = terminal.listener(), request.with_dependents
    with compared(found, *wanted, with_dependents=along, asked=question, listener=shown) as difference:
        if not terminal.json:
            _show(found, difference)
        if terminal.dry_run:
            _show_write(terminal, found, difference, **how)
            return
        if expect is not None and not (expect and difference.facts["digest"].startswith(expect)):
            raise Refused(
                "the difference is not the expected one; nothing was changed", "to see the difference: --dry-run"
            )
        outcome = terminal.run(found, plan_write_rows(found, difference, **how), shown)
        outcome.raise_if_failed()
        written = outcome.results["write"]
        if terminal.json:
            content = _as_json(found, difference, "rows restored")
            print_json(content | {"run": outcome.run_id, "seconds": outcome.seconds, **written})
        else:
            _show_written(terminal, outcome.run_id, written)


def _show_write(terminal: Terminal, found: Workspace, difference: Difference, **how: bool) -> None:
    """What --dry-run shows after the difference: how it would be written."""
    from tabsync.backups.restore.rows.restore import plan_write_rows
    from tabsync.cli.terminal import print_json

    if terminal.json:
        print_json(_as_json(found, difference, "row comparison"))
    elif not difference.total("missing", "unlinked", *(["changed"] if how["replace"] else [])):
        terminal.note("there is nothing to restore; rows that differ are only overwritten with --replace")
    else:
        terminal.plan(plan_write_rows(found, difference, **how))


def _undo(terminal: Terminal, undo: str, *, without_triggers: bool) -> None:
    from tabsync.backups.restore.rows.undo import plan_undo_rows
    from tabsync.kernel.page import Page

    found = terminal.workspace()
    plan = plan_undo_rows(found, undo, without_triggers=without_triggers)
    if terminal.dry_run:
        terminal.plan(plan)
        return
    outcome = terminal.run(found, plan)
    outcome.raise_if_failed()
    done = outcome.results["undo"]
    page = Page("rows taken back", {"run": outcome.run_id, "of_run": undo, **done})
    page.line(f"Undone: {done['deleted']:,} rows deleted, {done['restored']:,} rows restored to their earlier values.")
    terminal.page(page)


def _show(found: Workspace, difference: Difference) -> None:
    """Print the difference: numbers for every table, and the first rows of each kind."""
    from tabsync.backups.restore.rows.restore import missing_parents, samples
    from tabsync.cli.terminal import paper
    from tabsync.kernel.clock import now, parse_iso
    from tabsync.kernel.units import human_bytes, human_seconds
    from tabsync.postgres.catalog import Relation

    out = paper()
    if log := difference.facts.get("log"):
        state = log["state"]
    else:
        moment = parse_iso(difference.at)
        age = human_seconds((now() - moment).total_seconds())
        read = f"; {human_bytes(difference.read_bytes)} read" if difference.read_bytes else ""
        state = f"as of {moment.astimezone().strftime('%Y-%m-%d %H:%M:%S')}, {age} ago{read}"
    out.print(f"Compared with {difference.source}, {state}.", markup=False, soft_wrap=True)
    for note in (difference.why, *(log or {}).get("notes", ())):
        if note:
            out.print(f"  {note}", markup=False, style="yellow", soft_wrap=True)
    for table in difference.tables:
        counts = [f"{table[state]:,} {word}" for state, word in _WORDS.items() if table[state]]
        out.print(f"{Relation(table['schema'], table['name'])}: {', '.join(counts) or 'nothing'}", style="bold")
        for note in table["notes"]:
            out.print(f"  {note}", markup=False, style="yellow")
        shown = samples(found, difference, table)
        for state, new, old in shown:
            _show_row(out, table, state, new, old)
        for state in _WORDS:
            some = sum(1 for one in shown if one[0] == state)
            if some and table[state] > some:
                out.print(f"  {state:<{_STATE_WIDTH - 2}}and {table[state] - some:,} more", style="dim")
    for parent, values in missing_parents(found, difference):
        told = "; ".join(", ".join(str(one) for one in row) for row in values)
        referenced = Relation(**parent["referenced"])
        out.print(
            f"missing in {referenced}: {parent['count']} rows that {Relation(**parent['table'])} references,"
            f" {', '.join(parent['columns'])} = {told}",
            style="yellow",
            markup=False,
        )
    out.print(f"Difference {difference.facts['digest'][:12]}", style="dim")


_STATE_WIDTH = 12

_WORDS = {
    "missing": "missing",
    "unlinked": "reference lost",
    "changed": "different",
    "same": "the same",
}


def _show_row(out: Console, table: Facts, state: str, new: list[str | None], old: list[str | None]) -> None:
    from rich.table import Table
    from rich.text import Text

    columns, key = table["columns"], set(table["key"])
    if not old:
        parts = [f"{name}={_short(value)}" for name, value in zip(columns, new, strict=True) if value is not None]
    else:
        parts = [
            f"{name}={_short(one)}" if one == other else f"{name}: {_short(other)} -> {_short(one)}"
            for name, one, other in zip(columns, new, old, strict=True)
            if one != other or name in key
        ]
    values = Text(" ".join(parts))
    values.truncate(2 * (out.width - _STATE_WIDTH), overflow="ellipsis")  # two lines a row, at most
    grid = Table.grid()
    grid.add_column(width=_STATE_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"  {state}", style="dim"), values)
    out.print(grid)


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    plain = "".join(one if one.isprintable() else " " for one in value)
    return plain if len(plain) <= 40 else f"{plain[:37]}..."


def _show_written(terminal: Terminal, run_id: str, written: Facts) -> None:
    from tabsync.backups.restore.rows.roles import NOT_ENTERED
    from tabsync.cli.terminal import paper
    from tabsync.postgres.catalog import Relation

    parts = []
    for one in written["tables"]:
        relation = Relation(one["schema"], one["name"])
        parts += [f"{one['inserted']:,} inserted into {relation}"] if one["inserted"] else []
        parts += [f"{one['updated']:,} updated in {relation}"] if one["updated"] else []
    paper().print(f"Written: {', '.join(parts)}.", markup=False)
    if written["altered_by_triggers"]:
        terminal.note(f"triggers changed {written['altered_by_triggers']} of these rows, so they differ from the copy")
    if not written["roles_entered"]:
        terminal.note(NOT_ENTERED)
    paper().print(f"To undo it: tabsync restore rows --undo {run_id}", markup=False, soft_wrap=True)


def _as_json(found: Workspace, difference: Difference, kind: str) -> dict[str, Any]:
    from tabsync.backups.restore.rows.restore import missing_parents, samples

    content = difference.to_json()
    for table in content["tables"]:
        first = samples(found, difference, table)
        table["first_rows"] = [{"state": state, "new": new, "old": old} for state, new, old in first]
    for parent, (_, values) in zip(content["parents"], missing_parents(found, difference), strict=True):
        parent["first_values"] = values
    return {"version": 1, "kind": kind, **content}
