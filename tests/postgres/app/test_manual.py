"""The manual's steps that concern the application are planned as they stand there."""

from __future__ import annotations

import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.manual.load import load
from tabsync.manual.model import Step
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.runbooks.placeholders import filled
from tabsync.runbooks.step import prepared
from tests.postgres.app.cloud import Cloud
from tests.postgres.app.conftest import Configured, at

STEPS = [
    pytest.param(step, id=f"{runbook.title}, step {step.number}")
    for runbook in load(PROFILE_MANUAL).runbooks
    for step in runbook.steps
    if any(one.words[0] == "app" for one in step.commands)
]


def test_they_are_in_the_manual() -> None:
    assert len(STEPS) >= 3


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_planned(cloud: Cloud, configured: Configured, step: Step) -> None:
    workspace = configured(at(cloud))
    (command,) = (one for one in filled(step, {"secret": "db-new"}).commands if one.words[0] == "app")
    found = prepared(workspace, step, command)
    if found.made is not None:
        assert "tabsync-backend" in str(found.page.to_json())
        assert all(one.may_repeat for one in found.made.plan.steps), "it may have been killed in the middle of it"
    assert [path for _, path in cloud.changes() if not path.endswith("/token")] == []


@pytest.mark.parametrize("step", STEPS)
def test_without_the_application_it_says_which_table_to_add(configured: Configured, step: Step) -> None:
    (command,) = (one for one in filled(step, {"secret": "db-new"}).commands if one.words[0] == "app")
    workspace = configured("")
    with pytest.raises(BadUsage, match="no application 'backend' is configured") as caught:
        found = prepared(workspace, step, command)
        assert found.procedure is not None
        from tabsync.kernel.procedure import named

        named(found.procedure.read)(workspace, found.request)
    assert "[app.backend]" in caught.value.hint
