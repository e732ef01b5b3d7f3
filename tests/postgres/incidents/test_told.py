"""Whom the collector has told of an incident: by its severity, until it is resolved, and of updates that are due."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tabsync.incidents.record import begin
from tabsync.incidents.told import UPDATE, conditions_of_incidents
from tabsync.kernel.clock import now
from tabsync.manual.load import load
from tabsync.monitoring.alerts.episode import Episode, Key, Seen
from tabsync.monitoring.alerts.keep import keep, open_episodes
from tabsync.workspace import Workspace, find
from tests.postgres.incidents.test_incidents import Say, project


def seen(workspace: Workspace, later: timedelta = timedelta(0)) -> dict[Key, Seen]:
    """What the collector would see, which the ledger takes in."""
    known: dict[Key, Episode] = {one.key: one for one in open_episodes(workspace.ledger())}
    manual = load(workspace.manual_path)
    found = list(conditions_of_incidents(workspace, manual, known, now() + later))
    keep(workspace.ledger(), "shop", found)
    return {one.key: one for one in found}


def opened(directory: Path, severity: str) -> tuple[Workspace, Say, str]:
    say = project(directory)
    say("open", "Payments fail", "--severity", severity)
    return find(directory / "tabsync.toml"), say, say("list", "--json").json["incidents"][0]["id"]


def test_it_is_told_by_its_severity_until_it_is_resolved(directory: Path) -> None:
    workspace, say, id = opened(directory, "critical")
    one = seen(workspace)[Key("incident", id)]
    assert (one.level, one.facts["tell"]) == ("critical", ["Database administrator"])
    assert "nobody has it" in one.facts["text"]
    say("ack")
    assert "root has it" in seen(workspace)[Key("incident", id)].facts["text"]
    (episode,) = open_episodes(workspace.ledger())
    assert episode.acked_by == "root"
    say("mitigate")
    assert seen(workspace)[Key("incident", id)].level == "critical"
    say("resolve")
    assert seen(workspace)[Key("incident", id)].level is None


def test_an_update_is_due_again_and_again_until_people_are_told(directory: Path) -> None:
    workspace, say, id = opened(directory, "major")
    update = Key("incident", id, UPDATE)
    assert update not in seen(workspace)
    assert seen(workspace, timedelta(hours=2, minutes=1))[update].level == "warning"
    say("note", "they take cash", "--update")
    assert seen(workspace, timedelta(hours=1))[update].level is None
    assert update in seen(workspace, timedelta(hours=2, minutes=2))


def test_a_minor_one_is_told_to_nobody(directory: Path) -> None:
    workspace, _, id = opened(directory, "minor")
    assert seen(workspace)[Key("incident", id)].facts["tell"] == ["nobody"]


def test_one_that_answers_an_alert_is_not_told_anew(directory: Path) -> None:
    project(directory)
    workspace = find(directory / "tabsync.toml")
    begin(workspace, "Payments fail", "critical", {"alert": "3f2a"})
    assert seen(workspace) == {}
