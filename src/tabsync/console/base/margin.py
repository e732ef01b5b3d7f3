"""What stands in the manual's margin: for each row that can be measured, how it is now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tabsync.backups.retention.policy import class_of, is_ours
from tabsync.console.base.render import slug
from tabsync.console.base.watch import Seen
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.model import Manual, RetentionClass
from tabsync.monitoring.judge import Level
from tabsync.schedule.judge import Verdict


@dataclass(frozen=True, slots=True)
class Beside:
    """One remark in the margin. level: a word of judge.Level; note: what explains it, or ""."""

    level: str
    text: str
    note: str = ""


def margin(
    manual: Manual, status: Seen, health: Seen, backups: Sequence[Facts], late: Mapping[str, str]
) -> dict[str, Beside]:
    """Every remark, by the id of its place in the page. What was not seen is unknown, and says why.

    late: why a class of the retention table is overdue, see late_classes().
    """
    remarks = dict(_metrics(manual, status))
    remarks |= _tables(manual, health)
    remarks |= _targets(manual, status)
    for one in manual.retention:
        remarks[f"now-class-{slug(one.name)}"] = _retention(one, manual.retention, backups, late.get(one.name, ""))
    return remarks


def late_classes(verdicts: Iterable[Verdict], classes: Sequence[RetentionClass]) -> dict[str, str]:
    """The classes of backups whose item of the schedule is overdue, and what became of it. verdicts: the overdue."""
    found = {}
    for one in verdicts:
        if one.occurrence.item.evidence == "backup":
            words = list(one.occurrence.item.words[2:])
            at = words.index("--reason") if "--reason" in words[:-1] else None
            reason = "" if at is None else words.pop(at + 1)  # it chooses the class before the kind does
            kind = next((word for word in words if not word.startswith("-")), "full")
            row = class_of(kind, reason, classes)
            if row is not None:
                found[row.name] = f"{one.occurrence.item.name} {one.state.value}"
    return found


def _metrics(manual: Manual, status: Seen) -> Iterator[tuple[str, Beside]]:
    facts = status.facts or {}
    found = {one["metric"]: one for one in facts.get("readings", ())}
    why = _why_unseen(status)
    for metric in manual.metrics:
        reading = found.get(metric.title)
        if reading is None:
            yield f"now-metric-{slug(metric.title)}", Beside(Level.UNKNOWN, "unknown", why)
            continue
        many = len(reading["samples"]) > 1 and reading["label"]
        note = reading["error"] or (f"{reading['label']}, of {len(reading['samples'])}" if many else reading["label"])
        text = reading["value"] if reading["samples"] else "none" if not reading["error"] else "unknown"
        yield f"now-metric-{slug(metric.title)}", Beside(reading["level"], text, note)


def _tables(manual: Manual, health: Seen) -> Iterator[tuple[str, Beside]]:
    found = {one["name"]: one for one in (health.facts or {}).get("checks", ())}
    for table in manual.key_tables:
        check = found.get(table.name)
        if check is None:
            remark = Beside(Level.UNKNOWN, "unknown", _why_unseen(health))
        elif check["ok"]:
            remark = Beside(Level.OK, f"read in {human_seconds(check['seconds'])}")
        else:
            remark = Beside(Level.CRITICAL, "can't be read", check["error"])
        yield f"now-table-{slug(table.name)}", remark


def _targets(manual: Manual, status: Seen) -> Iterator[tuple[str, Beside]]:
    drill = (status.facts or {}).get("drill")
    for name, target in (("rto", manual.targets.rto), ("rpo", manual.targets.rpo)) if manual.targets else ():
        measured = drill.get(f"{name}_seconds") if drill else None
        if measured is None:
            why = "not reached in the last drill" if drill else "no drill yet"
            yield f"now-target-{name}", Beside(Level.UNKNOWN, "unknown", why)
        elif drill and drill.get(f"{name}_target", 0) is None:
            told = f"{human_seconds(measured)} in the last drill, which has no target"
            yield f"now-target-{name}", Beside(Level.UNKNOWN, "unknown", told)
        else:
            level = Level.OK if measured <= target.value.total_seconds() else Level.CRITICAL
            yield f"now-target-{name}", Beside(level, human_seconds(measured), "in the last drill")


def _retention(one: RetentionClass, classes: Sequence[RetentionClass], backups: Sequence[Facts], late: str) -> Beside:
    if not is_ours(one):
        return Beside(Level.UNKNOWN, "unknown", f"kept by the provider: {', '.join(one.stores) or 'no store named'}")
    mine = [row for row in backups if class_of(row["kind"], row["reason"], classes) == one]
    if not mine and late:
        return Beside(Level.WARNING, "overdue", f"no backup in the store; {late}")
    if not mine:
        return Beside(Level.UNKNOWN, "no backup in the store")
    newest = max(mine, key=lambda row: str(row["taken_at"]))
    known = {"identical": "proven", "partial": "partly proven", None: "not proven"}
    proof = known.get(newest["proof"], "drill failed")
    text = f"newest {human_seconds(round(newest['age_seconds']))} old"
    if late:
        return Beside(Level.WARNING, f"{text}: overdue", f"{proof}; {late}")
    return Beside(Level.OK if newest["proven"] else Level.WARNING, text, proof)


def _why_unseen(seen: Seen) -> str:
    if seen.problem:
        return seen.problem[0]
    error = ((seen.facts or {}).get("database") or {}).get("error")
    if error:
        return str(error["fact"])
    return "no answer yet" if seen.facts is None else "not measured"
