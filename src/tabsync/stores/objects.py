"""What lies in a store, whoever names it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A file as it lies in a store. modified: when it was stored last."""

    digest: str
    bytes: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that lies in a store under a name of its own (WAL). name: below its folder; bytes: as stored."""

    name: str
    bytes: int
    modified: datetime
