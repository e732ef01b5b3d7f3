"""Object stores for tests: emulators that run for a whole session, their credentials in the environment."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests import emulators
from tests.conftest import missing

_numbers = itertools.count(1)


@pytest.fixture
def nobodys_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away whatever credentials the person running the tests has."""
    for name in os.environ:
        if name.startswith(("AZURE_", "AWS_", "GOOGLE_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def azurite() -> Iterator[emulators.Emulator]:
    """A running Azurite."""
    if not emulators.AZURITE.exists():
        missing("azurite (scripts/emulators.py installs it)")
    with emulators.running("az") as emulator:
        emulator.make_container("backups")
        yield emulator


@pytest.fixture(scope="session")
def moto() -> Iterator[emulators.Emulator]:
    """A running moto."""
    with emulators.running("s3") as emulator:
        emulator.make_container("backups")
        yield emulator


@pytest.fixture
def emulator(
    request: pytest.FixtureRequest, remote: str, nobodys_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> emulators.Emulator:
    """The emulator of the parameter `remote`, with a container "backups"; its credentials are in the environment."""
    found: emulators.Emulator = request.getfixturevalue("azurite" if remote == "az" else "moto")
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def address(emulator: emulators.Emulator) -> str:
    """A prefix of the container that is empty yet."""
    return f"{emulator.scheme}://backups/test/{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def remote() -> str:
    """The kind of emulator of a test that has no such parameter."""
    return "az"
