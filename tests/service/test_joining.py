"""Three critical alerts in one minute are one incident: they join the one that is open, and are told in its thread."""

from __future__ import annotations

from dataclasses import replace

from tabsync.incidents.incident import Kind
from tabsync.incidents.measured import impact_of
from tabsync.incidents.record import add, begin, incidents, open_incident
from tabsync.incidents.timeline import timeline
from tabsync.manual.load import load
from tabsync.monitoring.alerts.keep import open_episodes
from tests.conftest import run_sql
from tests.service.test_collector import put
from tests.service.test_notifier import told as told
from tests.service.told import Told


def test_three_alerts_are_one_incident_and_one_thread(told: Told) -> None:
    workspace = told.watched.workspace
    run_sql(workspace.conninfo, "insert into waiting values ('terrace', 1)")
    put(told.watched, "kitchen", 60)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 1)
    text = told.box.got[0].get_payload(decode=True)
    alert = told.watched.first.id
    assert isinstance(text, bytes)
    assert f'to keep an incident: tabsync incident open "Waiting" --alert {alert}' in text.decode()
    assert told.box.got[0]["References"] == f"<{alert}.Admin@tabsync.invalid>"
    assert incidents(workspace) == [], "an alert opens none: it is offered to a person"

    id, _ = begin(workspace, "Payments fail", "critical", {"alert": alert})
    for name in ("bar", "terrace"):
        put(told.watched, name, 60)
        told.watched.look()
    told.watched.look()
    (one,) = incidents(workspace)
    assert len(one.alerts) == 3
    assert sum(each.kind is Kind.JOINED for each in one.entries) == 2, "a second look changes nothing"
    lines = [each.text for each in timeline(workspace, one)[0]]
    assert {"an alert joined it: Waiting, bar", "an alert joined it: Waiting, terrace"} <= set(lines)
    told.settle(lambda: len(told.box.got) >= 2 and len(told.rows()) >= 6)
    assert {str(mail["References"]) for mail in told.box.got[1:]} == {f"<{id}.Admin@tabsync.invalid>"}

    impact = impact_of(workspace, load(workspace.manual_path), one)
    waiting = next(each for each in impact["metrics"] if each["metric"] == "Waiting")
    assert waiting["over_seconds"] > 0
    assert waiting["worst"].startswith("60 of 100 orders (60 %)")
    assert impact["detect_seconds"] is not None and impact["recover_seconds"] is None
    add(workspace, id, Kind.RESOLVED)
    put(told.watched, "bar", 1)
    run_sql(workspace.conninfo, "insert into waiting values ('cellar', 60)")
    told.watched.look()
    (one,) = incidents(workspace)
    assert len(one.alerts) == 3, "of a resolved one only boxes are left"
    assert open_incident(workspace) is None


def test_who_took_it_and_died_has_acknowledged_it(told: Told) -> None:
    """The entry was written down, and nothing else: the collector does the rest, and nobody else is told."""
    workspace = replace(told.watched.workspace)
    id, _ = begin(workspace, "Payments fail", "critical", {})
    told.watched.look()
    add(workspace, id, Kind.ACK)
    told.watched.look()
    (episode,) = [one for one in open_episodes(workspace.ledger()) if one.key.kind == "incident"]
    assert episode.is_acknowledged
    assert episode.acked_by == incidents(workspace)[0].has_it
