"""Signatures beside manifests: a manifest is never rewritten, so whoever vouches for it later puts one there.

Each is a marker of its own, signatures/BACKUP.KEY.json, with what `Keys.sign` gives; KEY names the public key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from tabsync.kernel.step import Facts
from tabsync.stores.keys import Keys

SIGNATURES = "signatures"
"""The kind of these markers."""


def signature_name(backup: str, key: str) -> str:
    """The name of a key's signature for a backup. key: public, as in tabsync.toml."""
    return f"{backup}.{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def signed_backup(name: str) -> str:
    """Which backup a signature is for, by its name; an id may have dots itself."""
    return name.rpartition(".")[0]


def vouched(keys: Keys, digest: str, markers: Mapping[str, bytes]) -> bool:
    """Whether one of the signatures fits a manifest's content and is by a trusted key."""
    return any(not keys.distrusts(digest, _parsed(content)) for content in markers.values())


def _parsed(content: bytes) -> Facts:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
