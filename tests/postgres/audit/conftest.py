"""Databases of the TabSync profile with the audit log installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tabsync.audit.install import install_for_tests
from tabsync.manual.load import load
from tabsync.postgres.connect import Connection
from tabsync.workspace import PROFILE_MANUAL

Audited = Callable[..., str]


def install(connection: Connection) -> None:
    """Install what the profile's manual says."""
    manual = load(PROFILE_MANUAL)
    assert manual.audit is not None
    install_for_tests(connection, manual.audit, manual.users, manual.hierarchy)


@pytest.fixture
def audited(audited_database: Audited) -> Audited:
    """A fresh database of the profile in which the manual's tables are audited; gives its connection string."""
    return audited_database
