"""The gate of the schedule before a migration: a backup and its proof, and what persons have to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import latest_evidence
from tabsync.schedule.gate import Answer, answers, gate_named
from tabsync.schedule.look import Look, look
from tabsync.schedule.passed import note_gate
from tabsync.schedule.record import ask_subject, known_subject
from tabsync.service.run_item import begin_item, run_item, started_by_hand

if TYPE_CHECKING:
    from tabsync.schedule.items import Item
    from tabsync.workspace import Context, Workspace

NAME = "migration"
"""What the gate is called, after "Before" and an article."""
EVIDENCE = "migration"
"""The kind of evidence that a guarded deployment leaves."""
_PROOF = "drill"
_OF_THE_STATE = ("backup", _PROOF)
_LOOK = 0.5  # seconds


def gate_of(workspace: Workspace) -> tuple[str, list[Item]] | None:
    """The gate before a migration, and its items; None where the schedule has none."""
    try:
        return gate_named(look(workspace), NAME)
    except BadUsage:
        return None


def check_gate(context: Context, *, prove: float | None) -> Facts:
    """Do what is missing and can be done by a command. Raises Refused, naming what is missing then.

    prove: seconds that a proof may take; when it takes longer the deployment goes on without it, and that is recorded.
    """
    workspace = context.workspace
    seen = look(workspace)
    gate, items = gate_named(seen, NAME)
    unproven = ""
    first = _of_this_one(workspace, seen, items)
    by_hand = [one for one in first if one.why and not (one.item.words and one.item.built)]  # no command does these
    if by_hand:
        _note(context, gate, first)
    _check_there(by_hand)
    for one in first:
        if not one.why or not one.item.words or not one.item.built:
            continue
        if one.item.evidence == _PROOF and prove is not None:
            unproven = _within(workspace, seen, one, prove)
        else:
            _done(workspace, seen, one)
    found = _of_this_one(workspace, look(workspace), items)
    _note(context, gate, found, unproven)
    _check_there([one for one in found if one.why and not (unproven and one.item.evidence == _PROOF)])
    return {"items": [one.to_json() for one in found], "unproven": unproven or None}


def _note(context: Context, gate: str, found: Sequence[Answer], unproven: str = "") -> None:
    subject = ask_subject(context.workspace) or known_subject(context.workspace)
    note_gate(context.workspace.ledger(), subject, gate, found, context.run_id, unproven=unproven)


def _of_this_one(workspace: Workspace, seen: Look, items: Sequence[Item]) -> list[Answer]:
    """What there is for each item. A backup from before the last deployment, or its proof, is none for this one."""
    last = latest_evidence(workspace.ledger(), EVIDENCE, seen.subject)
    since = parse_iso(last["at"]) if last else None
    found = []
    for one in answers(workspace, seen, items):
        old = since is not None and one.at is not None and one.at <= since and one.item.evidence in _OF_THE_STATE
        found.append(replace(one, why=f"the last one, {one.about}, is from before the last deployment") if old else one)
    return found


def _check_there(missing: Sequence[Answer]) -> None:
    if missing:
        told = "; ".join(f"{one.item.name}: {one.why}" for one in missing)
        raise Refused(f"what the manual asks for before a migration is missing: {told}", missing[0].command)


def _done(workspace: Workspace, seen: Look, one: Answer) -> None:
    """Do one, and wait for it. That it failed shows when the gate is looked at again."""
    _say(f"{one.command}: {one.why}")
    ended = run_item(workspace, one.item, seen.subject, workspace.journal_actor(), lambda line: _say(f"  {line}"))
    if ended.exit != 0:
        raise Refused(f"{one.item.name} failed: {ended.fact or f'exit code {ended.exit}'}", one.command)


def _within(workspace: Workspace, seen: Look, one: Answer, seconds: float) -> str:
    """Begin a proof, and wait so long for it; gives why there is none. Raises Refused where it ended and is none."""
    _say(f"{one.command}: {one.why}")
    until = time.monotonic() + seconds
    begin_item(workspace, one.item, seen.subject, workspace.journal_actor())
    while time.monotonic() < until:
        started = started_by_hand(workspace, [one.item]).get(one.item.key)
        if started is None or started.ended is not None:
            ended = started.ended if started else None
            if ended is not None and ended.exit != 0:
                raise Refused(f"the backup could not be proven: {ended.fact or f'exit code {ended.exit}'}", one.command)
            return ""
        time.sleep(_LOOK)
    return f"the backup is not proven: its proof takes longer than {seconds:g} s, and goes on"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
