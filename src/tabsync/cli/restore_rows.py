"""tabsync restore rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption, YesOption

if TYPE_CHECKING:
    from rich.console import Console

    from tabsync.backups.restore.rows.restore import Difference
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


def rows(
    table: Annotated[str | None, typer.Option("--table", help="The table, as users or public.users.")] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="A condition in SQL, as after WHERE; it only runs on a copy.")
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--from", help="latest, warm, a backup's id, a time (the newest backup before it), or a database."
        ),
    ] = "latest",
    with_dependents: Annotated[
        bool,
        typer.Option("--with-dependents", help="Also restore rows that ON DELETE CASCADE deleted or SET NULL changed."),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Also overwrite rows that differ with the copy's; otherwise they are not changed."
        ),
    ] = False,
    without_triggers: Annotated[
        bool,
        typer.Option(
            "--without-triggers", help="Disable the tables' own triggers for the restore; keys are still checked."
        ),
    ] = False,
    expect: Annotated[
        str | None,
        typer.Option("--expect", help="Only write if the difference has this digest, which --dry-run printed."),
    ] = None,
    undo: Annotated[str | None, typer.Option("--undo", metavar="RUN", help="Undo what a run wrote.")] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Compare rows with a backup, and restore those that are missing.

    The difference is shown, then written in one transaction. Only the needed tables are read. Rows that exist but
    differ are not changed without --replace; sequences are never changed. Overwritten values are kept for 30 days;
    --undo RUN restores them.
    """
    from tabsync.backups.restore.rows.restore import compared, plan_write_rows
    from tabsync.backups.restore.server import check_writable
    from tabsync.cli.common import carry_out, listener, print_json, workspace
    from tabsync.kernel.errors import BadUsage, Refused

    if undo is not None:
        _undo(undo, config, database, store, dry_run=dry_run, without_triggers=without_triggers, json=json)
        return
    if table is None or where is None:
        raise BadUsage(
            "--table and --where are needed: they choose the rows",
            "tabsync restore rows --table users --where \"id = '...'\"",
        )
    found = workspace(config, database, store)
    if not dry_run:  # to compare with, a standby will do
        check_writable(found)
    shown = listener(json=json)
    with compared(found, table, where, source, with_dependents=with_dependents, listener=shown) as difference:
        if not json:
            _show(found, difference)
        if dry_run:
            _show_write(found, difference, replace=replace, without_triggers=without_triggers, json=json)
            return
        if expect is not None and not (expect and difference.facts["digest"].startswith(expect)):
            raise Refused(
                "the difference is not the expected one; nothing was changed", "to see the difference: --dry-run"
            )
        plan = plan_write_rows(found, difference, replace=replace, without_triggers=without_triggers)
        outcome = carry_out(found, plan, json=json, yes=yes, shown=shown)
        written = outcome.results["write"]
        if json:
            content = _as_json(found, difference, "rows restored")
            print_json(content | {"run": outcome.run_id, "seconds": outcome.seconds, **written})
        else:
            _told(outcome.run_id, written)


def _show_write(found: Workspace, difference: Difference, *, replace: bool, without_triggers: bool, json: bool) -> None:
    """What --dry-run shows after the difference: how it would be written."""
    from tabsync.backups.restore.rows.restore import plan_write_rows
    from tabsync.cli.common import note, print_json, show_plan

    if json:
        print_json(_as_json(found, difference, "row comparison"))
    elif not difference.total("missing", "unlinked", *(["changed"] if replace else [])):
        note("there is nothing to restore; rows that differ are only overwritten with --replace")
    else:
        plan = plan_write_rows(found, difference, replace=replace, without_triggers=without_triggers)
        show_plan(plan, json=False)


def _undo(
    undo: str, config: Any, database: Any, store: Any, *, dry_run: bool, without_triggers: bool, json: bool
) -> None:
    from tabsync.backups.restore.rows.undo import plan_undo_rows
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace

    found = workspace(config, database, store)
    plan = plan_undo_rows(found, undo, without_triggers=without_triggers)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json)
    done = outcome.results["undo"]
    if json:
        print_json({"version": 1, "kind": "rows taken back", "run": outcome.run_id, "of_run": undo, **done})
    else:
        console().print(
            f"Undone: {done['deleted']:,} rows deleted, {done['restored']:,} rows restored to their earlier values.",
            markup=False,
        )


def _show(found: Workspace, difference: Difference) -> None:
    """Print the difference: numbers for every table, and the first rows of each kind."""
    from tabsync.backups.restore.rows.restore import missing_parents, samples
    from tabsync.cli.common import console
    from tabsync.kernel.clock import now, parse_iso
    from tabsync.kernel.units import human_bytes, human_seconds
    from tabsync.postgres.catalog import Relation

    out = console()
    moment = parse_iso(difference.at)
    age = human_seconds((now() - moment).total_seconds())
    local = moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    read = f"; {human_bytes(difference.read_bytes)} read" if difference.read_bytes else ""
    out.print(f"Compared with {difference.source}, as of {local}, {age} ago{read}.", markup=False, soft_wrap=True)
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


def _told(run_id: str, written: Facts) -> None:
    from tabsync.cli.common import console, note
    from tabsync.postgres.catalog import Relation

    parts = []
    for one in written["tables"]:
        relation = Relation(one["schema"], one["name"])
        parts += [f"{one['inserted']:,} inserted into {relation}"] if one["inserted"] else []
        parts += [f"{one['updated']:,} updated in {relation}"] if one["updated"] else []
    console().print(f"Written: {', '.join(parts)}.", markup=False)
    if written["altered_by_triggers"]:
        note(f"triggers changed {written['altered_by_triggers']} of these rows, so they differ from the copy")
    console().print(f"To undo it: tabsync restore rows --undo {run_id}", markup=False, soft_wrap=True)


def _as_json(found: Workspace, difference: Difference, kind: str) -> dict[str, Any]:
    from tabsync.backups.restore.rows.restore import missing_parents, samples

    content = difference.to_json()
    for table in content["tables"]:
        first = samples(found, difference, table)
        table["first_rows"] = [{"state": state, "new": new, "old": old} for state, new, old in first]
    for parent, (_, values) in zip(content["parents"], missing_parents(found, difference), strict=True):
        parent["first_values"] = values
    return {"version": 1, "kind": kind, **content}
