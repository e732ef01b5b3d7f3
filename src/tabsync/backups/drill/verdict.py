"""What a drill showed, in one object: pure, from the facts of its steps and the manual's targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from tabsync.copies.proofs.steps import PROVEN, notes_of
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes, human_seconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """A drill's result. content: "identical", "partial" or "not proven"; times in seconds, None when not reached.

    rpo_target: None where the loss is told but not judged; indexes: read by amcheck; unproven: what could not be
    proven, in words; not_checked: what amcheck can't read; notes: what is otherwise in every copy, or was off in this
    one; neither takes anything from the verdict; sentence: the whole in one line.
    """

    ok: bool
    content: str
    rto_seconds: float | None
    rto_target: float
    rpo_seconds: float | None
    rpo_target: float | None
    wal_bytes: int | None
    tables: int
    rows: int
    bytes: int
    foreign_keys: int
    unproven: tuple[str, ...]
    indexes: int = 0
    not_checked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rto_met(self) -> bool:
        """Whether the measured recovery time is within the target."""
        return self.rto_seconds is not None and self.rto_seconds <= self.rto_target

    @property
    def rpo_met(self) -> bool:
        """Whether the measured loss is within the target, where there is one."""
        return self.rpo_target is None or (self.rpo_seconds is not None and self.rpo_seconds <= self.rpo_target)

    @property
    def proven(self) -> bool:
        """Whether the backup can be restored, and fast enough. How old it may be, the schedule knows."""
        return self.content == "identical" and self.rto_met

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        if self.content == "not proven":
            return "NOT PROVEN: this backup has not been shown to be restorable"
        proven = f"{self.content}, {self.tables} tables, {self.rows:,} rows, {human_bytes(self.bytes)}"
        proven += f", {self.indexes} indexes read" if self.indexes else ""
        missed = [name for name, met in (("RTO", self.rto_met), ("RPO", self.rpo_met)) if not met]
        if missed:
            return f"RESTORABLE ({proven}), BUT {' AND '.join(missed)} MISSED"
        return f"PROVEN RESTORABLE: {proven}" if self.content == "identical" else f"PARTLY PROVEN: {proven}"

    def to_json(self) -> Facts:
        """The verdict as JSON."""
        met = {"rto_met": self.rto_met, "rpo_met": self.rpo_met}
        lists = {"unproven": list(self.unproven), "not_checked": list(self.not_checked), "notes": list(self.notes)}
        return asdict(self) | met | lists | {"sentence": self.sentence}


def judge(
    results: Mapping[str, Facts], *, rto_target: float, rpo_target: float | None, needs: Sequence[str] = ()
) -> Verdict:
    """Judge the facts of a drill's steps against the targets (seconds).

    rpo_target: None when the loss is not to be judged; needs: keys of further steps that this drill must have done.
    A step that is missing was not proven: absence is never counted as good.
    """
    complete = all(key in results for key in (*PROVEN, *needs))
    checked = results.get("amcheck", {"available": True})
    unproven = tuple(results.get("restore", {}).get("unproven", ()))
    unproven += () if checked["available"] else tuple(checked["not_checked"])
    content = "not proven" if not complete else "partial" if unproven else "identical"
    disaster, answer = results.get("disaster", {}), results.get("answer", {})
    trip, counted = results.get("round_trip", {}), results.get("rows", {})
    verdict = Verdict(
        ok=False,
        content=content,
        rto_seconds=answer.get("rto_seconds"),
        rto_target=rto_target,
        rpo_seconds=disaster.get("rpo_seconds"),
        rpo_target=rpo_target,
        wal_bytes=disaster.get("wal_bytes"),
        tables=trip.get("tables", 0),
        rows=counted.get("total", 0),
        bytes=trip.get("bytes", 0),
        foreign_keys=results.get("orphans", {}).get("foreign_keys", 0),
        unproven=unproven,
        indexes=checked.get("indexes", 0),
        not_checked=tuple(checked.get("not_checked", ())) if checked["available"] else (),
        notes=notes_of(results),
    )
    return replace(verdict, ok=verdict.proven and verdict.rpo_met)


def against(measured: float | None, target: float | None, *, interrupted: bool = False) -> str:
    """A time against its target in words: "12 s, target 1 h: met". interrupted: before it could be measured."""
    if measured is None and interrupted:
        return "interrupted: not measured"
    if target is None:
        return f"{'unknown' if measured is None else human_seconds(measured)}, no target in this drill"
    if measured is None:
        return f"not reached, target {human_seconds(target)}: missed"
    return f"{human_seconds(measured)}, target {human_seconds(target)}: {'met' if measured <= target else 'MISSED'}"
