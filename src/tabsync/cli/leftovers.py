"""What processes that died left is deleted by the next command, whichever it is, and said."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MOMENT = 0.2  # seconds for who writes the ledger; the next command does what this one could not


def delete_leftovers(found: Workspace) -> None:
    """Sweep orphaned servers and staged dumps, and mark the runs whose process is gone."""
    if not found.home.exists() and (found.store_url or not found.store_root.exists()):
        return
    from tabsync.backups.restore.leftovers import sweep, sweep_warm
    from tabsync.demo.place import end_orphan

    swept = sweep(found)
    sweep_warm(found)
    if end_orphan(found.servers() / "demo"):
        _note("an earlier demo died: its server was stopped (to start it again: tabsync demo)")
    marked = _take_up(found) if found.home.exists() else []
    if swept or marked:
        parts = [f"{len(marked)} interrupted run" + ("s" if len(marked) > 1 else "")] if marked else []
        more = f" and {len(swept) - 3} more" if len(swept) > 3 else ""
        parts += [f"left-over files ({', '.join(swept[:3])}{more})"] if swept else []
        _note(f"an earlier command died: cleaned up {' and '.join(parts)} (tabsync run list)")


def _take_up(found: Workspace) -> list[str]:
    """What the ledger is behind with; gives the runs that are marked. Whoever is in a hurry waits for none of it."""
    from tabsync.kernel.errors import NotRecorded, Refused
    from tabsync.ledger.merge import merge, told
    from tabsync.ledger.runs import mark_interrupted

    with found.record().patience.at_most(_MOMENT):
        marked: list[str] = []
        with suppress(Refused, NotRecorded):  # who needs the ledger says that it can't be used; status works without
            if merged := merge(found.ledger()):
                _note(told(merged))
            marked = mark_interrupted(found.ledger())
        _undo_limits(found)
    return marked


def _undo_limits(found: Workspace) -> None:
    """Set connection limits back whose time is over."""
    from tabsync.sessions.limits import to_undo

    if to_undo(found):
        from tabsync.sessions.undo_limit import undo_what_is_over

        for line in undo_what_is_over(found):
            _note(line)


def _note(text: str) -> None:
    click.echo(click.style("note: ", bold=True) + text, err=True)
