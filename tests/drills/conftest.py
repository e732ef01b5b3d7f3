"""What drills on object stores need."""

from __future__ import annotations

from tests.store_fixtures import address, azurite, emulator, moto, nobodys_credentials, remote

__all__ = ["address", "azurite", "emulator", "moto", "nobodys_credentials", "remote"]
