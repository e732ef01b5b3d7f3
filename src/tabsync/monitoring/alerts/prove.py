"""tabsync alert test: a made-up measurement goes the whole way, so that it is proven that the alert can fire."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.ledger.open import Ledger
from tabsync.manual.load import load
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.manual.parts import Bound
from tabsync.monitoring.alerts.episode import Episode, Seen, Severity, State
from tabsync.monitoring.alerts.keep import keep, open_episodes
from tabsync.monitoring.alerts.list import TESTED
from tabsync.monitoring.alerts.rules import conditions, rule_of
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading, Sample

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

SUBJECT = "test"
_SETTLED = ("sent", "withheld", "given up")


@dataclass(frozen=True, slots=True)
class Prove:
    """What one may ask of alert test."""

    metric: Annotated[str, Argument("The metric, as alert list names its bound.")]
    warning: Annotated[bool, Option("Test the warning; else the critical alert, if there is one.")] = False
    wait: Annotated[int, Option("How long to wait until everybody was told.", unit="s", minimum=0, maximum=600)] = 60


def plan_test(workspace: Workspace, request: Prove) -> Plan:
    """Plan to let a bound fire once, marked TEST. Raises BadUsage when the manual has no such bound."""
    manual = load(workspace.manual_path)
    metric, number, row = _bound(manual, request.metric)
    level: Severity = "warning" if (request.warning and row.warning) or row.critical is None else "critical"
    bound = row.critical if level == "critical" else row.warning
    value, of = beyond(bound) if bound else (1.0, None)
    rule = rule_of(metric, number)
    steps = (
        Step(
            "fire",
            f"Take in a made-up value of {metric.title}, beyond {bound.text if bound else ''}",
            call(fire, metric=metric.title, rule=rule, value=value, of=of),
            "an alert marked TEST: those who are told of such alerts get a message",
            risk=Risk.REVERSIBLE,
            undo="it ends by itself in the last step",
            repeatable=True,
        ),
        Step(
            "told",
            f"Wait until everybody was told, {request.wait} s at most",
            call(wait_until_told, rule=rule, seconds=request.wait),
            "read the ledger",
            repeatable=True,
        ),
        Step(
            "end",
            "Take in a made-up value within the bound: the alert ends",
            call(end, metric=metric.title, rule=rule),
            "the message that it has ended",
            risk=Risk.REVERSIBLE,
            undo="no undo needed",
            always=True,
            repeatable=True,
        ),
        Step(
            "record",
            "Record whether it fired, ended and was told",
            call(record, rule=rule),
            "evidence in the ledger",
            risk=Risk.REVERSIBLE,
            undo="no undo: evidence is kept",
            repeatable=False,
        ),
    )
    return Plan(procedure="alert test", title=f"Test the alert on {rule}", steps=steps, target={"rule": rule})


def _bound(manual: Manual, name: str) -> tuple[Metric, int, Threshold]:
    for metric in manual.metrics:
        for number, row in enumerate(manual.thresholds_of(metric.title)):
            if rule_of(metric, number).lower() == name.lower():
                return metric, number, row
    raise BadUsage(f"the manual has no bound on {name!r}", "to list them: tabsync alert list")


def beyond(bound: Bound) -> tuple[float, float | None]:
    """A value that each comparison of a bound holds for, and what it is a part of, where one is in percent."""
    value, of = 0.0, None
    plain = [one for one in bound.comparisons if one.unit.kind != "percent"]
    for one in plain:
        value = one.value * 2 + 1 if one.operator[0] == ">" else one.value - abs(one.value) - 1
    for one in bound.comparisons:
        if one.unit.kind != "percent":
            continue
        if plain:  # as small a whole as it takes
            part = one.value if one.value > 0 else 1.0
            of = value * 100 / part / 2 if one.operator[0] == ">" else value * 100 / part * 2
        else:
            of = 100.0
            value = one.value * 1.01 + 1 if one.operator[0] == ">" else one.value / 2 - 1
    return value, of


def _take_in(ledger: Ledger, manual: Manual, title: str, rule: str, value: float, of: float | None) -> list[Episode]:
    """A reading as a collector would take it in; what it must last for counts as having passed."""
    metric = manual.metric(title)
    if metric is None:
        raise BadUsage(f"the manual has no metric {title!r} any more", "to list them: tabsync metrics list")
    sample = Sample("", value, of, Level.OK)
    reading = Reading(metric.title, metric.unit, (sample,), Level.OK, 0.0, now())
    held = {one.key: one for one in _tests(ledger)}
    seen = [one for one in conditions(reading, manual, held, ()) if one.key.rule == rule]
    return keep(ledger, SUBJECT, [_at_once(one) for one in seen], is_test=True)


def _at_once(one: Seen) -> Seen:
    return replace(one, hold=timedelta(0))


def _tests(ledger: Ledger) -> Sequence[Episode]:
    return [one for one in open_episodes(ledger) if one.is_test and one.subject == SUBJECT]


def fire(context: Context, *, metric: str, rule: str, value: float, of: float | None) -> Facts:
    """Let the alert fire. Raises BadUsage when the metric is gone meanwhile."""
    ledger = context.workspace.ledger()
    found = _take_in(ledger, load(context.workspace.manual_path), metric, rule, value, of)
    episodes = [one for one in [*found, *_tests(ledger)] if one.key.rule == rule and one.state is State.FIRING]
    return {"episode": episodes[0].id if episodes else "", "at": iso(now())}


def wait_until_told(context: Context, *, rule: str, seconds: int) -> Facts:
    """Wait until each message is sent, withheld or given up. Gives who was told."""
    ledger = context.workspace.ledger()
    episode = next((one for one in _tests(ledger) if one.key.rule == rule), None)
    until = time.monotonic() + seconds
    rows: list[Facts] = []
    while episode is not None:
        rows = ledger.read("deliveries", episode=episode.id)
        if (rows and all(row["state"] in _SETTLED for row in rows)) or time.monotonic() > until:
            break
        context.report(sum(row["state"] in _SETTLED for row in rows), len(rows), "messages")
        time.sleep(0.5)
    return {"told": [{name: row[name] for name in ("contact", "channel", "event", "state", "fact")} for row in rows]}


def end(context: Context, *, metric: str, rule: str) -> Facts:
    """Let the alert end."""
    ledger, manual = context.workspace.ledger(), load(context.workspace.manual_path)
    ended = []
    for one in _tests(ledger):
        if one.key.rule == rule:
            ended += keep(ledger, SUBJECT, [Seen(one.key, None, now())], is_test=True)
    return {"ended": len([one for one in ended if one.state is State.ENDED]), "metric": metric, "manual": manual.digest}


def record(context: Context, *, rule: str) -> Facts:
    """Leave the evidence: it fired, ended, and somebody was told."""
    results = context.results
    fired, told = bool(results["fire"]["episode"]), results["told"]["told"]
    sent = [one for one in told if one["state"] == "sent"]
    ok = fired and bool(results["end"]["ended"]) and bool(sent) and len(sent) == len(told)
    facts = {"fired": fired, "ended": results["end"]["ended"], "told": told}
    add_evidence(context.workspace.ledger(), TESTED, rule, ok=ok, facts=facts)
    return {"ok": ok, "sent": len(sent), "all": len(told)}


def show(done: Done[Workspace, Prove]) -> Page:
    """Whether the alert can fire, and who was told."""
    results, rule = done.results, done.planned.plan.target["rule"]
    verdict, told = results["record"], results["told"]["told"]
    page = Page("alert test", {"rule": rule, **verdict, "told": told})
    if verdict["ok"]:
        page.line((f"PROVEN: the alert on {rule} fires", "strong good"), f": {verdict['sent']} told, and it has ended")
    elif not told:
        page.line((f"NOT PROVEN: the alert on {rule} fires, and nobody was told", "strong bad"))
        page.hint("does the notifier run (tabsync serve), and is a contact told of it? tabsync manual show contacts")
    else:
        page.line((f"NOT PROVEN: {verdict['sent']} of {verdict['all']} were told", "strong bad"))
    if told:
        rows = [(one["contact"], one["channel"], one["event"], one["state"], one["fact"]) for one in told]
        page.table(("Contact", "Channel", "Event", "", ""), rows)
    page.exit_code = Exit.DONE if verdict["ok"] else Exit.PROBLEM_FOUND
    return page
