"""Sessions of tests, in which names mean what they mean to an application."""

from __future__ import annotations

from tabsync.postgres.connect import Connection
from tabsync.postgres.connect import connect as connect_ours
from tabsync.postgres.settings import Limits


def connect(conninfo: str, purpose: str, *, limits: Limits | None = None, autocommit: bool = True) -> Connection:
    """A session of ours, but with the search_path of the database."""
    return connect_ours(conninfo, purpose, limits=limits, autocommit=autocommit, as_application=True)
