"""A place for runbooks, on a database of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.postgres.runbooks.place import Place


@pytest.fixture
def ground(directory: Path, databases: Databases) -> Place:
    return Place(directory, databases())
