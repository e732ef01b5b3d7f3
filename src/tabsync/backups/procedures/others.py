"""What others keep of the database, as pages show it: the provider's snapshots and window, pgBackRest's backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.clock import local, now, parse_iso
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts


def add_provider(page: Page, state: Facts | None) -> None:
    """Add what the provider keeps; what can't be seen is said to be unknown."""
    if state is None:
        return
    if state["problem"]:
        hint = f"; {state['hint']}" if state["hint"] else ""
        page.note(f"the backups of {state['provider']} are unknown: {state['problem']}{hint}")
        return
    page.line("")
    page.line(f"Kept by {state['provider']}, project {state['project']}, {state['region']}", style="strong")
    if state["snapshots"]:
        page.table(("Snapshot", "Taken (UTC)", "Age", "State"), map(_snapshot, state["snapshots"]), right=("Age",))
    else:
        page.line("no snapshot", style="warning")
    window = state["window"]
    if window:
        page.line(f"point in time: {_utc(window['earliest'])} to {_utc(window['latest'])} UTC")
        page.line("to restore it there, in place: tabsync restore managed TIME", style="quiet")
    else:
        page.line("point in time: not enabled for this project", style="warning")


def add_pgbackrest(page: Page, state: Facts | None) -> None:
    """Add what pgBackRest keeps on this machine."""
    if state is None:
        return
    if state["problem"]:
        page.note(f"the backups of pgBackRest are unknown: {state['problem']}")
        return
    for stanza in state["stanzas"]:
        page.line("")
        page.line(f"Kept by pgBackRest, stanza {stanza['name']}: {stanza['status']}", style="strong")
        if stanza["backups"]:
            columns = ("Backup", "Kind", "Ended (UTC)", "Age", "Cluster")
            page.table(columns, map(_pgbackrest, stanza["backups"]), right=("Age", "Cluster"))
        wal = stanza["wal"]
        page.line(f"WAL: {wal['first']} to {wal['last']}" if wal else "WAL: none archived")


def add_provider_window(page: Page, state: Facts) -> None:
    """Add to which times the provider can restore."""
    page.line(f"{state['provider']}, project {state['project']}", style="strong")
    if state["problem"]:
        page.line(f"unknown: {state['problem']}; {state['hint']}", style="warning")
    elif state["window"]:
        page.line(
            f"any time from {local(state['window']['earliest'])} to {local(state['window']['latest'])}", style="good"
        )
        page.line("to let Supabase restore in place: tabsync restore managed TIME", style="quiet")
    else:
        page.line("no point-in-time recovery", style="warning")


def _snapshot(one: Facts) -> tuple[Cell, ...]:
    status = one["status"]
    style: Style = "good" if status == "COMPLETED" else "strong bad" if "FAIL" in status else "warning"
    return one["id"], _utc(one["at"]), _age(one["at"]), (status.lower(), style)


def _pgbackrest(one: Facts) -> tuple[Cell, ...]:
    kind = f"{one['kind']}, with errors" if one["failed"] else one["kind"]
    return one["label"], kind, _utc(one["at"]), _age(one["at"]), human_bytes(one["bytes"])


def _utc(moment: str) -> str:
    return moment[:19].replace("T", " ")


def _age(moment: str) -> str:
    return human_seconds(max(0, round((now() - parse_iso(moment)).total_seconds())))
