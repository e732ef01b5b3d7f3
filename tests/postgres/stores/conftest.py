"""Stores of every kind, empty, each test's own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.stores.open import open_store
from tabsync.stores.store import Store
from tests import emulators
from tests.conftest import missing

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def nobodys_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away whatever credentials the person running the tests has."""
    for name in os.environ:
        if name.startswith(("AZURE_", "AWS_", "GOOGLE_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _azurite() -> Iterator[emulators.Emulator]:
    if not emulators.AZURITE.exists():
        missing("azurite (scripts/emulators.py installs it)")
    with emulators.running("az") as emulator:
        emulator.make_container("backups")
        yield emulator


@pytest.fixture(scope="session")
def _moto() -> Iterator[emulators.Emulator]:
    with emulators.running("s3") as emulator:
        emulator.make_container("backups")
        yield emulator


@pytest.fixture
def emulator(request: pytest.FixtureRequest, remote: str, monkeypatch: pytest.MonkeyPatch) -> emulators.Emulator:
    """The emulator of the parameter `remote`, with a container "backups"; its credentials are in the environment."""
    found: emulators.Emulator = request.getfixturevalue("_azurite" if remote == "az" else "_moto")
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def address(emulator: emulators.Emulator) -> str:
    """A prefix of the container that is empty yet."""
    return f"{emulator.scheme}://backups/test/{next(_numbers)}"


@pytest.fixture
def store(request: pytest.FixtureRequest, kind: str, directory: Path) -> Store:
    """An empty store of the test's parameter `kind`, ready."""
    place: str | Path = directory / "store"
    if kind != "file":
        place = request.getfixturevalue("address")
    store = open_store(place, directory / "staging")
    store.prepare()
    return store


@pytest.fixture
def kind() -> str:
    """A test without this parameter works on a local store."""
    return "file"


@pytest.fixture
def remote(kind: str) -> str:
    """The kind of emulator: that of the store."""
    return kind


Harm = Callable[[Store, str, bytes | None], None]


@pytest.fixture
def harm() -> Harm:
    """Replace an object's content behind the store's back; None removes it."""

    def do(store: Store, name: str, content: bytes | None) -> None:
        import obstore

        from tabsync.stores.local import LocalStore
        from tabsync.stores.remote import RemoteStore

        if isinstance(store, LocalStore):
            path = store.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        elif isinstance(store, RemoteStore):
            if content is None:
                obstore.delete(store._client, name)
            else:
                obstore.put(store._client, name, content)

    return do
