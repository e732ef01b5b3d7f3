"""tabsync wal: receive, push, fetch, copy, status, drop-slot."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption, YesOption

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts, Step

app = typer.Typer(
    help="Archive the write-ahead log (WAL) for point-in-time recovery.",
    epilog="Example: tabsync backup take physical, and as a service: tabsync wal receive",
    no_args_is_help=True,
)

SlotOption = Annotated[str, typer.Option(help="Name of the replication slot; it is created if it does not exist.")]
_SLOT = "tabsync_wal"


@app.command(epilog="Example: tabsync wal receive --drop-slot-over 50GB")
def receive(
    slot: SlotOption = _SLOT,
    flush: Annotated[
        str,
        typer.Option(
            help="At most the commits of this time are lost with the server; the open segment is stored twice in it."
        ),
    ] = "10s",
    slot_budget: Annotated[
        str | None, typer.Option(help="Amount of WAL that may wait, here and on the server, before an alarm.")
    ] = None,
    drop_slot_over: Annotated[
        str | None,
        typer.Option(
            help="Drop the slot if the server keeps more WAL than this: leaves a gap, but saves the server's disk."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Receive what exists now, then end; for cron.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Receive the cluster's WAL into the store. Runs until Ctrl-C or SIGTERM, and reconnects after an error."""
    from tabsync.backups.wal.receive import plan_receive
    from tabsync.backups.wal.slot import size_of
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace
    from tabsync.kernel.errors import BadUsage
    from tabsync.kernel.units import parse_duration

    try:
        seconds = parse_duration(flush).total_seconds()
    except ValueError as error:
        raise BadUsage(str(error), "tabsync wal receive --flush 10s") from None
    if seconds < 1:
        raise BadUsage("--flush must be at least 1 second", "tabsync wal receive --flush 10s")
    found = workspace(config, database, store)
    plan = plan_receive(
        found,
        slot=slot,
        flush=seconds,
        budget=size_of(slot_budget or found.wal_budget),
        drop_over=size_of(drop_slot_over) if drop_slot_over else None,
        once=once,
    )
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json, shown=None if json else _Watch())
    facts = outcome.results["receive"]
    if json:
        print_json({"version": 1, "kind": "wal received", "run": outcome.run_id, **facts})
    else:
        until = _local(facts["until"]) if facts["until"] else "an unknown time"
        console().print(f"{facts['segments']} segments stored; the store has all commits until {until}.", markup=False)


@app.command(epilog="Example: archive_command = 'tabsync wal push --config /etc/tabsync.toml %p'")
def push(
    path: Annotated[Path, typer.Argument(help="The file, as PostgreSQL gives it: %p.")],
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Store a finished WAL file; for archive_command. The same file again is accepted, other content is refused."""
    from tabsync.backups.wal.push import push as push_file
    from tabsync.workspace import find

    push_file(find(config, store=store), path)


@app.command(epilog="Example: restore_command = 'tabsync wal fetch --config /etc/tabsync.toml %f %p'")
def fetch(
    name: Annotated[str, typer.Argument(help="File name, as PostgreSQL gives it: %f.")],
    path: Annotated[Path, typer.Argument(help="Path to write to, as PostgreSQL gives it: %p.")],
    system_identifier: Annotated[
        str, typer.Option(help="System identifier of the cluster; needed outside its data directory.")
    ] = "",
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Fetch a WAL file; for restore_command. Exit code 1: the file does not exist. 200: unknown, recovery ends.

    On a standby both are 1, because it asks again by itself, and 200 would end it.
    """
    import traceback

    from tabsync.backups.wal.push import failure_code, fetch_into
    from tabsync.cli.edge import exit_code_of
    from tabsync.workspace import find

    try:
        there = fetch_into(find(config, store=store), name, path, system_identifier)
    except Exception as error:  # noqa: BLE001 - recovery must not take any failure for the end of the WAL
        try:
            exit_code_of(error)
        except Exception:  # noqa: BLE001 - what it has no words for it raises again, which would be exit code 1
            traceback.print_exc()
        raise typer.Exit(failure_code(path)) from None
    if not there:
        raise typer.Exit(1)


@app.command(epilog="Example: tabsync wal copy --to az://backups/prod, every 10 minutes by cron")
def copy(
    to: Annotated[str, typer.Option("--to", help="A store: its name in tabsync.toml, or a directory or URL.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Copy missing WAL into another store, and check each file.

    The oldest is copied first; encrypted files stay encrypted. If the physical backups are copied there too, the
    cluster can be recovered from that store alone.
    """
    from tabsync.backups.wal.copy import plan_wal_copy
    from tabsync.cli.common import carry_out, print_json, show_plan, workspace

    found = workspace(config, None, store)
    plan = plan_wal_copy(found, to)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json)
    facts = outcome.results["copy"]
    if json:
        print_json({"version": 1, "kind": "wal copy", "run": outcome.run_id, **facts})
    else:
        _show_copied(facts)
    if any(one["missing"] for one in facts["clusters"]):
        raise typer.Exit(1)


@app.command(epilog="Example: tabsync wal status --json")
def status(
    slot: SlotOption = _SLOT,
    slot_budget: Annotated[
        str | None, typer.Option(help="Amount of WAL that the server may keep before it is a problem.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Check that WAL is archived, without gaps, and what slots keep. Exit code 1 if something is wrong or unknown."""
    from tabsync.backups.wal.slot import size_of
    from tabsync.backups.wal.status import wal_status
    from tabsync.cli.common import load_manual, print_json, workspace
    from tabsync.kernel.errors import Refused

    found = workspace(config, database, store)
    targets = load_manual(found).targets
    if targets is None:
        raise Refused("the manual has no RPO, so there is no target to measure against", "tabsync manual check")
    behind = targets.rpo.value
    facts = wal_status(found, slot=slot, budget=size_of(slot_budget or found.wal_budget), behind=behind)
    if json:
        print_json({"version": 1, "kind": "wal status", **facts})
    else:
        _show_status(facts)
    if not facts["ok"]:
        raise typer.Exit(1)


@app.command("drop-slot", epilog="Example: tabsync wal drop-slot --slot tabsync_wal")
def drop_slot(
    slot: SlotOption = _SLOT,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Drop a slot, and with it the WAL that the server keeps for it. The archive then has a gap."""
    from tabsync.backups.wal.slot import plan_drop
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace
    from tabsync.kernel.units import human_bytes

    found = workspace(config, database, store)
    plan = plan_drop(found, slot)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json, yes=yes)
    facts = outcome.results["drop"]
    if json:
        print_json({"version": 1, "kind": "slot dropped", "run": outcome.run_id, **facts})
    else:
        kept = human_bytes(facts["retained_bytes"] or 0)
        console().print(f"Slot {slot} was dropped; the server may now remove {kept} of WAL.")


def _show_copied(facts: Facts) -> None:
    from tabsync.cli.common import console, note
    from tabsync.kernel.units import human_bytes

    out, store = console(), facts["store"]
    sent = f"{facts['files']} WAL files, {human_bytes(facts['bytes'])}, were copied to {store}."
    out.print(sent if facts["files"] else f"Nothing to copy: {store} has all of it.", markup=False, soft_wrap=True)
    for one in facts["clusters"]:
        until = "until an unknown time" if one["until"] is None else f"until {_local(one['until'])}"
        out.print(f"cluster {one['system_identifier']}: all commits {until} are there", markup=False)
        if one["missing"]:
            told = f"WAL is missing there: {one['missing']} segments before {one['newest']}"
            out.print(told, style="bold red", markup=False)
        if not one["backups"]:
            note("WAL can't be restored without a physical backup, and there is none: tabsync backup copy")


class _Watch:
    """What wal receive says: a line with the time whenever it has something else to say."""

    def __init__(self) -> None:
        self._said, self._last = "", 0.0

    def step_started(self, number: int, total: int, step: Step) -> None:
        """The plan was shown by --dry-run."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Print what it says; the ordinary at most once a minute."""
        ordinary = unit.startswith(("all WAL until", "starting"))
        if unit == self._said or (
            ordinary and self._said.startswith("all WAL until") and time.monotonic() - self._last < 60
        ):
            return
        self._said, self._last = unit, time.monotonic()
        moment = time.strftime("%H:%M:%S")
        typer.echo(
            f"{moment}  {done:.0f} segments stored; {unit}" if ordinary else f"{moment}  ALARM: {unit}", err=True
        )

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """The end is told by the command."""


def _show_status(facts: Facts) -> None:
    from rich.text import Text

    from tabsync.cli.common import console
    from tabsync.kernel.units import human_bytes

    out, slot, archive = console(), facts["slot"], facts["archive"]
    for one in facts["problems"]:
        out.print(Text.assemble(("PROBLEM  ", "bold red"), one["what"]))
        out.print(Text(f"         hint: {one['do']}", style="dim"))
    for one in facts["unseen"]:
        out.print(Text.assemble(("UNKNOWN  ", "bold yellow"), one))
    if facts["ok"]:
        out.print("OK: WAL is archived, recovery is possible up to the newest WAL in the store", style="bold green")
    if slot:
        state = "received from" if slot["active"] else "idle"
        out.print(f"slot     {slot['name']}, {state}, keeps {human_bytes(slot['retained_bytes'] or 0)}", markup=False)
    if archive:
        about = "" if archive["exact"] else "about "
        out.print(f"archive  until {about}{_local(archive['until'])}, newest file {archive['newest']}", markup=False)
        out.print(f"base     {archive['base']}", markup=False)


def _local(moment: str | None) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S %Z}" if moment else "never"
