"""Models of odd schemas through every procedure that judges a copy: no false verdict. All of them: make soak."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from soak.databases import filled, lacking, models
from soak.through import plain_manual, through

from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.whole import WHOLE

_QUICK = (("regress", 17), ("traders", 18), ("forge", 17), ("hosted", 15)) if WHOLE else (("hosted", 15),)
"""What the short form has; each model is on each version in `make soak PARTS=databases`."""

_KNOWN = {model.name: model for model in models()}


def test_there_are_ten_models_or_more() -> None:
    assert len(_KNOWN) >= 10
    assert {name for name, _ in _QUICK} <= _KNOWN.keys()


@pytest.mark.parametrize(("name", "major"), _QUICK)
def test_a_model_comes_back_and_every_procedure_says_so(
    name: str, major: int, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(major)
    assert not lacking(conninfo, _KNOWN[name])
    filled(conninfo, _KNOWN[name])
    workspace = workspaces(conninfo)
    object.__setattr__(workspace, "manual_path", plain_manual(workspace.home / "manual.md"))
    told = through(workspace, ("drill", "new", "in-place", "tables"))
    assert {key: one.verdict for key, one in told.items()} == dict.fromkeys(told, "same")
