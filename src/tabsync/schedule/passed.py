"""What the gates of a schedule were asked, and what there was then: a part of its compliance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.page import Page, Part
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since
from tabsync.schedule.gate import Answer
from tabsync.schedule.words import moment

if TYPE_CHECKING:
    from tabsync.ledger.open import Ledger

_KIND = "gate"
_MOST = 500
_SHOWN = 10


def note_gate(
    ledger: Ledger, subject: str, gate: str, found: Sequence[Answer], run_id: str, *, unproven: str = ""
) -> None:
    """Record what there was of what a gate asks for. unproven: why something of it was gone on without, in words."""
    missing = [one for one in found if one.why]
    facts: Facts = {"gate": gate, "items": [one.to_json() for one in found], "unproven": unproven or None}
    add_evidence(ledger, _KIND, subject, ok=not missing, facts=facts, run_id=run_id)


def gates_since(ledger: Ledger, subject: str, start: datetime) -> list[Facts]:
    """What was recorded of gates since some time, the newest first."""
    found = evidence_since(ledger, _KIND, subject, limit=_MOST)
    return [
        {"at": one["at"], "run": one["run_id"], "ok": one["ok"], **one["facts"]}
        for one in found
        if parse_iso(one["at"]) >= start
    ]


def show_gates(page: Page, found: Sequence[Facts], zone: tzinfo) -> None:
    """The newest of them as a table, each with what it had, or what was missing."""
    if not found:
        return
    names = list(dict.fromkeys(str(one["gate"]) for one in found))
    for name in names:
        mine = [one for one in found if one["gate"] == name]
        whole = sum(one["ok"] for one in mine)
        page.line(f"Before {name}: {whole} of {len(mine)} times all was there that it asks for")
    rows: list[tuple[Part, ...]] = [
        (moment(parse_iso(one["at"]), zone), str(one["gate"]), _told(one)) for one in found[:_SHOWN]
    ]
    page.table(("When", "Before", "What there was"), rows, whole=("When",))
    if len(found) > _SHOWN:
        page.line(f"and {len(found) - _SHOWN} more: --json lists all", style="quiet")


def _told(one: Facts) -> Part:
    missing = [f"{each['item']}: {each['missing']}" for each in one["items"] if each["missing"]]
    if one["unproven"]:
        return (str(one["unproven"]), "warning")
    if missing:
        return (f"✗ {'; '.join(missing)}", "bad")
    return ("; ".join(f"● {each['evidence']}" for each in one["items"]), "good")
