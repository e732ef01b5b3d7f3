"""A till for each test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tabsync.workspace import Workspace
from tests.postgres.payments.till import Till


@pytest.fixture
def till(tabsync_database: Callable[..., str]) -> Till:
    """A restaurant's database without a payment."""
    return Till(tabsync_database())


@pytest.fixture
def shop(till: Till, workspaces: Callable[..., Workspace]) -> Workspace:
    """A workspace on it, with the profile's manual."""
    return workspaces(till.conninfo)
