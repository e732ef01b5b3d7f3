"""Stores of every kind, empty, each test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tabsync.stores.open import open_store
from tabsync.stores.store import Store
from tests.store_fixtures import address, azurite, emulator, moto, nobodys_credentials

__all__ = ["address", "azurite", "emulator", "moto", "nobodys_credentials"]


@pytest.fixture(autouse=True)
def in_nobodys_name(nobodys_credentials: None) -> None:
    """No test of a store uses real credentials."""


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
