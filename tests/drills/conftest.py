"""What drills need of other tests: object stores, a mail server."""

from __future__ import annotations

from tests.service.told import mailbox
from tests.store_fixtures import address, azurite, emulator, moto, nobodys_credentials, remote

__all__ = ["address", "azurite", "emulator", "mailbox", "moto", "nobodys_credentials", "remote"]
