"""tabsync status: the page at 3 in the morning, as far as facts exist. What can't be seen is said, never passed over.

The order is the order in which a tired person asks: is it broken, what fires, what changed, who blocks, what do I do,
how do I get back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import CannotConnect, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, latest_evidence
from tabsync.ledger.runs import recent_runs
from tabsync.manual.model import Manual
from tabsync.monitoring.judge import Level, judge
from tabsync.monitoring.measure import Limit, Reading, measure, own_reading, with_limits
from tabsync.monitoring.words import amount
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.postgres.conninfo import place
from tabsync.postgres.probe import no_answer
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

VERSION = 1
_LIMITS = Limits(lock_timeout=50, statement_timeout=5_000)  # a page that is opened in trouble must not add to it
RECENT = timedelta(hours=2)
_PATIENCE = 1.0  # seconds for a server that doesn't answer
_SQL = named(__package__, "status.sql")


Contributor: TypeAlias = Callable[["Workspace", Manual, Facts], list[Facts]]
"""What a chapter adds: it puts its facts and alerts among the others, and gives the actions that it proposes.

`known` takes the values of metrics that have no query: {"value", "of", "note", "command"} by what the manual calls it.
"""


def look(
    workspace: Workspace,
    manual: Manual,
    contributors: Sequence[Contributor] = (),
    limits: Callable[[Workspace, Manual], Mapping[str, Limit]] = lambda _workspace, _manual: {},
) -> Facts:
    """Everything the page shows, as JSON; never raises for a database that is down: that is what it is for.

    limits: asks for what the manual's `Of: disk` stands for.
    """
    facts: Facts = {"version": VERSION, "kind": "status", "checked_at": iso(now()), "unseen": [], "to_declare": []}
    facts |= {"alerts": [], "blockers": [], "changes": [], "readings": []}
    facts["database"] = {"reachable": False, "place": place(workspace.conninfo), "identity": None, "error": None}
    try:
        if fact := no_answer(workspace.conninfo, _PATIENCE):
            hint = "check host, port and firewall, and that the server is running"
            raise CannotConnect(f"can't connect to {place(workspace.conninfo)}: {fact}", hint)
        with workspace.connect("status", _LIMITS) as connection:
            _look_inside(connection, manual, facts, limits(workspace, manual))
    except CannotConnect as error:
        facts["database"]["error"] = {"fact": error.fact, "hint": error.hint}
        facts["unseen"].append("everything in the database: no connection")
    except psycopg.Error as error:
        facts["database"]["error"] = {"fact": f"the connection was lost: {error}".strip(), "hint": "tabsync health"}
        facts["unseen"].append("everything in the database: the connection was lost")
    facts |= {"backup": None, "drill": None, "wal": None, "interrupted": [], "known": {}}
    _look_at_runs(workspace, facts)
    proposed = [action for contribute in contributors for action in contribute(workspace, manual, facts)]
    _add_known(manual, facts)
    facts["next"] = _next_actions(facts, proposed)
    facts["verdict"] = verdict_of(facts)
    facts["verdict"]["since"] = _since(workspace, facts)
    return facts


def verdict_of(facts: Facts) -> Facts:
    """One sentence and a level: critical, warning, unknown or ok, in this order of precedence."""
    if not facts["database"]["reachable"]:
        return {"level": "critical", "sentence": f"DOWN: {facts['database']['place']} does not answer"}
    by_level = {level: [one for one in facts["alerts"] if one["level"] == level] for level in ("critical", "warning")}
    blocked = sum(len(one["victims"]) for one in facts["blockers"])
    for level, alerts in by_level.items():
        if alerts:
            others = f" and {len(facts['alerts']) - 1} more" if len(facts["alerts"]) > 1 else ""
            return {"level": level, "sentence": f"{level.upper()}: {alerts[0]['metric']}: {alerts[0]['value']}{others}"}
    if blocked:
        waits = "1 session waits" if blocked == 1 else f"{blocked} sessions wait"
        return {"level": "warning", "sentence": f"WARNING: {waits} for a lock"}
    if facts["drill"] is None or not facts["drill"]["ok"]:
        why = "no backup has been proven restorable" if facts["drill"] is None else "the last drill did not pass"
        return {"level": "warning", "sentence": f"WARNING: the database runs, but {why}"}
    if facts["unseen"]:
        values = "1 value is" if len(facts["unseen"]) == 1 else f"{len(facts['unseen'])} values are"
        return {"level": "unknown", "sentence": f"NO ALARM, but {values} unknown"}
    return {"level": "ok", "sentence": "OK: no alert, no blocked session, the last backup is proven"}


def _since(workspace: Workspace, facts: Facts) -> str | None:
    """Since when the verdict has had its level, as far as anybody looked: each change of level is evidence."""
    level, subject = facts["verdict"]["level"], facts["database"]["place"]
    try:
        ledger = workspace.ledger()
        last = latest_evidence(ledger, "status", subject)
        if last is None or last["facts"]["level"] != level:
            add_evidence(ledger, "status", subject, ok=level == "ok", facts=facts["verdict"])
            last = latest_evidence(ledger, "status", subject)
    except TabsyncError:
        return None  # the page is shown even when nothing can be written down
    return min(str(last["at"]), str(facts["checked_at"])) if last else None  # it is noted after the check


def _look_inside(connection: Connection, manual: Manual, facts: Facts, limits: Mapping[str, Limit]) -> None:
    identity = catalog.identity(connection)
    facts["database"] |= {"reachable": True, "identity": identity}
    for reading in with_limits(measure(connection, manual), manual, limits):
        _add_reading(reading, manual, facts)
    facts["alerts"].sort(key=lambda one: one["level"] != "critical")
    facts["blockers"] = _blockers(connection, facts)
    facts["changes"] += _server_changes(connection)


def _add_reading(reading: Reading, manual: Manual, facts: Facts, command: str = "") -> None:
    facts["readings"].append(describe(reading))
    if reading.level in (Level.WARNING, Level.CRITICAL):
        facts["alerts"].append(_alert(reading, manual) | ({"command": command} if command else {}))
    elif reading.level is Level.UNKNOWN:
        facts["unseen"].append(f"{reading.metric}: {_why_unknown(reading)}")
        if reading.kind == "declare":
            facts["to_declare"].append(facts["unseen"][-1])


def _add_known(manual: Manual, facts: Facts) -> None:
    """The metrics that have no query: the chapters have told what they know."""
    for metric in manual.metrics:
        if metric.source:
            told = facts["known"].get(metric.source)
            reading = own_reading(metric, manual.thresholds_of(metric.title), told, now())
            _add_reading(reading, manual, facts, (told or {}).get("command", ""))
    facts["alerts"].sort(key=lambda one: one["level"] != "critical")
    del facts["known"]  # it stands among the readings


def describe(reading: Reading) -> Facts:
    """A reading as the page and the manual's margin show it."""
    sample = reading.worst or (reading.samples[0] if reading.samples else None)
    return {
        "metric": reading.metric,
        "level": reading.level.value,
        "value": amount(reading.unit, sample) if sample else "unknown",
        "label": sample.label if sample else "",
        "error": _why_unknown(reading) if reading.level is Level.UNKNOWN else "",
        "seconds": reading.seconds,
        "samples": [
            {"label": one.label, "value": one.value, "of": one.of, "text": amount(reading.unit, one)}
            for one in reading.samples
        ],
    }


def _alert(reading: Reading, manual: Manual) -> Facts:
    sample = reading.worst
    rows = list(manual.thresholds_of(reading.metric))
    fired = (one for one in rows if sample and judge(one, sample.value, sample.of) is reading.level)
    row = next(fired, rows[0] if rows else None)
    bound = (row.critical if reading.level is Level.CRITICAL else row.warning) if row else None
    return {
        "metric": reading.metric,
        "label": sample.label if sample else "",
        "value": amount(reading.unit, sample) if sample else "",
        "bound": bound.text if bound else "",
        "level": reading.level.value,
        "action": row.action if row else "",
        "runbook": row.runbook if row else "",
    }


def _why_unknown(reading: Reading) -> str:
    sample = reading.worst
    return reading.error or (sample.why if sample else "") or "could not be measured"


def _blockers(connection: Connection, facts: Facts) -> list[Facts]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["blockers"]).fetchall()
    except psycopg.Error as error:
        facts["unseen"].append(f"blocked sessions: {error.diag.message_primary}")
        return []
    return [
        row
        | {"backend_start": iso(row["backend_start"])}
        | {"what": f"{row['state'] or 'unknown'}: {' '.join((row['query'] or 'query not visible').split())}"}
        | {"sql": _ending(row), "undo": "no undo: its transaction is rolled back"}
        for row in rows
    ]


def _ending(row: Facts) -> str:
    """The statement that ends what a blocker holds; it matches the session, since a pid is given out again.

    Cancelling does nothing to a session that is idle in its transaction: that one has to be ended.
    """
    verb = sql.SQL("pg_cancel_backend" if row["state"] == "active" else "pg_terminate_backend")
    query = sql.SQL("select {}(pid) from pg_stat_activity where pid = {} and backend_start = {}")
    return query.format(verb, row["pid"], row["backend_start"].isoformat()).as_string()


def _server_changes(connection: Connection) -> list[Facts]:
    row = connection.execute(_SQL["server_changes"]).fetchone()
    started_at, configured_at = row if row else (None, None)
    changes = []
    if _is_recent(started_at):
        changes.append({"at": iso(started_at), "what": "the server was started"})
    elif _is_recent(configured_at):
        changes.append({"at": iso(configured_at), "what": "the configuration was reloaded"})
    pending = connection.execute(_SQL["pending_restart"]).fetchone()
    if pending and pending[0]:
        changes.append({"at": iso(configured_at), "what": f"{pending[0]} changed settings wait for a restart"})
    return changes


def _look_at_runs(workspace: Workspace, facts: Facts) -> None:
    try:
        runs = recent_runs(workspace.ledger(), 50)
    except TabsyncError as error:
        facts["unseen"].append(f"runs, backups and drills: {error.fact}")
        return
    facts["interrupted"] = [_run(one) for one in runs if one["state"] == "interrupted"][:5]
    since = iso(now() - RECENT)
    facts["changes"] += [
        {"at": one["started_at"], "what": f"{one['procedure']} by {one['actor']}: {one['state']}"}
        for one in runs
        if one["started_at"] > since
    ]
    facts["changes"].sort(key=lambda one: one["at"], reverse=True)


def _run(row: Facts) -> Facts:
    return {key: row[key] for key in ("id", "procedure", "state", "started_at", "actor")}


def _next_actions(facts: Facts, proposed: list[Facts]) -> list[Facts]:
    """What to do, the most urgent first. proposed: by the chapters."""
    actions = []
    if not facts["database"]["reachable"]:
        error = facts["database"]["error"] or {}
        actions.append({"why": error.get("fact", ""), "command": "tabsync health", "undo": "only reads"})
    for blocker in facts["blockers"][:1]:
        why = f"{len(blocker['victims'])} sessions wait for session {blocker['pid']} ({blocker['user']})"
        actions.append({"why": why, "command": f'psql -c "{blocker["sql"]}"', "undo": blocker["undo"]})
    for alert in facts["alerts"][:3]:
        where = f"manual show '{alert['runbook']}'" if alert["runbook"] else "manual show Thresholds"
        command = alert.get("command") or f"tabsync {where}"
        actions.append({"why": f"{alert['metric']}: {alert['action']}", "command": command, "undo": "only reads"})
    return actions[:1] + proposed + actions[1:] if not facts["database"]["reachable"] else actions + proposed


def _is_recent(moment: datetime | None) -> bool:
    return moment is not None and now() - moment < RECENT
