"""Reads what items left in the ledger, each kind of it once, and no more of it than a verdict needs.

A copy of the WAL every ten minutes leaves 50,000 rows in a year with what it printed: of these only the ones are read as
JSON that didn't go well, or of which it is told what they say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.procedure import named
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.manual.model import Manual
from tabsync.schedule.items import OUTPUT, Item
from tabsync.schedule.judge import Proof

_ITEM = re.compile(
    r'"item": ("(?:[^"\\]|\\.)*")'
)  # as json.dumps writes it; within what was printed, quotes are escaped


@dataclass(slots=True)
class Evidence:
    """All evidence since a moment. subject: of whose backups it has to be, "" for any; since: as the ledger has it."""

    ledger: Ledger
    manual: Manual
    subject: str
    since: str
    _read: dict[tuple[str, str], list[Facts]] = field(default_factory=dict)
    _printed: dict[str, list[Facts]] | None = None

    def of(self, item: Item) -> list[Proof]:
        """The evidence of an item's kind, the oldest first, each with the reason why it doesn't count, if any."""
        if not item.evidence or not item.built or item.is_task:
            return []
        if item.evidence == OUTPUT:
            return [_output(row, brief=item.is_frequent) for row in self._outputs().get(item.key, ())]
        if item.when.kind == "continuous" or (item.is_frequent and not item.fits):
            rows = self._rows("evidence_moments", item.evidence)
            return [Proof(parse_iso(row["at"]), row["ok"], self._whose(row), "", row["run_id"] or "") for row in rows]
        fits: Callable[..., str] | None = named(item.fits) if item.fits else None
        return [self._proof(item, fits, row) for row in self._rows("evidence_from", item.evidence)]

    def _proof(self, item: Item, fits: Callable[..., str] | None, row: Facts) -> Proof:
        facts = row["facts"]
        why = self._whose(row) or (fits(item.words, facts | {"at": row["at"]}, self.manual) if fits else "")
        about = str(facts.get("sentence") or facts.get("backup") or "")
        return Proof(parse_iso(row["at"]), row["ok"], why, about, row["run_id"] or "")

    def _whose(self, row: Facts) -> str:
        other = self.subject and row["subject"] != self.subject
        return f"it is of another database, {row['subject']}" if other else ""

    def _rows(self, statement: str, kind: str) -> list[Facts]:
        if (statement, kind) not in self._read:
            self._read[statement, kind] = self.ledger.read(statement, kind=kind, since=self.since)
        return self._read[statement, kind]

    def _outputs(self) -> dict[str, list[Facts]]:
        """What procedures printed that leave no other evidence, by the items' keys; `facts` is text still."""
        if self._printed is None:
            self._printed = {}
            for row in self.ledger.read("evidence_texts", kind=OUTPUT, since=self.since):
                written = _ITEM.search(row["facts"])
                key = json.loads(written[1]) if written else json.loads(row["facts"]).get("item", "")
                self._printed.setdefault(key, []).append(row)
        return self._printed


def _output(row: Facts, *, brief: bool) -> Proof:
    """brief: of one that went well, what it printed doesn't matter."""
    at, run_id = parse_iso(row["at"]), row["run_id"] or ""
    if brief and row["ok"]:
        return Proof(at, True, run_id=run_id)
    facts = json.loads(row["facts"])
    return Proof(at, row["ok"], "", facts["headline"], run_id, facts.get("unknown", False))
