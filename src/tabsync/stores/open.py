"""Which store an address means."""

from __future__ import annotations

from pathlib import Path

from tabsync.stores.address import parse_address
from tabsync.stores.keys import Keys
from tabsync.stores.store import Store


def open_store(place: str | Path, staging: Path, keys: Keys | None = None) -> Store:
    """The store at a path or URL; nothing is asked of it yet.

    staging: the local directory that dumps for a remote store are made in; keys: what encrypts and signs.
    Raises BadUsage for an unknown scheme.
    """
    address = place if isinstance(place, Path) else parse_address(place)
    if isinstance(address, Path):
        from tabsync.stores.local import LocalStore

        return LocalStore(address, keys=keys or Keys())
    from tabsync.stores.remote import RemoteStore

    return RemoteStore(address, staging, keys=keys or Keys())
