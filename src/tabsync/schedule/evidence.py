"""Reads what items left in the ledger, each kind of it once, and no more of it than a verdict needs.

A copy of the WAL every ten minutes leaves 50,000 rows in a year with what it printed: what those say that went well
matters to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.procedure import named
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import NO_DATABASE
from tabsync.ledger.open import Ledger
from tabsync.manual.model import Manual
from tabsync.schedule.items import OUTPUT, Item, output_of
from tabsync.schedule.judge import Proof

UNTOLD = "?"
"""Whose evidence counts where that is not known: nobody's. It is "" where no database was ever asked."""


@dataclass(slots=True)
class Evidence:
    """Reads evidence since a moment: of each item that of its kind, the oldest first, with the reason why it doesn't
    count, if there is one.

    subject: of whose backups it has to be, "" for any; since: as the ledger has it; brief: what evidence says that
    counts doesn't matter, and isn't read.
    """

    ledger: Ledger
    manual: Manual
    subject: str
    since: str
    brief: bool = False
    _read: dict[tuple[str, str], list[Facts]] = field(default_factory=dict)

    def of_each(self, items: Iterable[Item]) -> dict[str, list[Proof]]:
        """The evidence of each item, by the items' keys."""
        wanted = [one for one in items if one.evidence and (one.built or one.barred) and not one.is_task]
        for statement in ("evidence_good_moments", "evidence_bad", "evidence_from"):
            kinds = list(dict.fromkeys(_kind(one) for one in wanted if statement in self._statements(one)))
            values = [{"kind": kind, "since": self.since} for kind in kinds]
            for kind, rows in zip(kinds, self.ledger.read_each(statement, values), strict=True):
                self._read[statement, kind] = rows
        return {one.key: self._of(one) for one in wanted}

    def _statements(self, item: Item) -> tuple[str, ...]:
        """How the evidence of an item is read."""
        if not item.fits and (self.brief or item.is_frequent or item.when.kind == "continuous"):
            return "evidence_good_moments", "evidence_bad"
        return ("evidence_from",)

    def _of(self, item: Item) -> list[Proof]:
        kind = _kind(item)
        subject = "" if item.evidence == OUTPUT else self.subject
        if "evidence_from" in self._statements(item):
            fits: Callable[..., str] | None = named(item.fits) if item.fits else None
            return [self._proof(item, fits, row, subject) for row in self._read["evidence_from", kind]]
        well = [_went_well(row, subject) for row in self._read["evidence_good_moments", kind]]
        bad = [self._proof(item, None, row, subject) for row in self._read["evidence_bad", kind]]
        return sorted([*well, *bad], key=lambda proof: proof.at) if bad else well

    def _proof(self, item: Item, fits: Callable[..., str] | None, row: Facts, subject: str) -> Proof:
        facts = row["facts"]
        why = _whose(row, subject) or (fits(item.words, facts | {"at": row["at"]}, self.manual) if fits else "")
        about = str(facts.get("sentence") or facts.get("headline") or facts.get("backup") or "")
        unknown = bool(facts.get("unknown", False)) and item.evidence == OUTPUT
        backup = str(facts.get("backup") or "")
        # A drill whose loss is beyond the RPO is not ok, and has proven its backup all the same: decision 0006.
        ok = bool(facts.get("proven", row["ok"]))
        return Proof(parse_iso(row["at"]), ok, why, about, row["run_id"] or "", unknown, backup)


def _kind(item: Item) -> str:
    return output_of(item.key) if item.evidence == OUTPUT else item.evidence


def _went_well(row: Facts, subject: str) -> Proof:
    return Proof(parse_iso(row["at"]), True, _whose(row, subject), "", row["run_id"] or "")


def _whose(row: Facts, subject: str) -> str:
    if subject == UNTOLD and row["subject"] != NO_DATABASE:
        return "it is not known whether it is of this database, which was not asked yet"
    other = subject and row["subject"] not in (subject, NO_DATABASE)
    return f"it is of another database, {row['subject']}" if other else ""
