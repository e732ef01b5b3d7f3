"""What is known of an audit log outside of its database: heads of seals, erasures, and months in the stores.

Who can write to the database can also write a mark there. So a mark counts as proof only if the ledger or the store
says the same: the ledger has a digest of the marks of each erasure, the store has each month with one of its hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since, latest_evidence
from tabsync.ledger.open import Ledger

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SEALED = "audit seal"
"""The evidence of a seal: its head among the facts."""
ERASED = "audit erase"
"""The evidence of an erasure: the digest of its marks."""
REMOVED = "audit remove"
"""The evidence that the seals were dropped on purpose: what was noted before belongs to no chain any more."""

_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Outside:
    """heads: as noted of seals; erasures: digests of marks; months: by name in the store, the digest of the hashes."""

    heads: tuple[Facts, ...] = ()
    erasures: frozenset[str] = frozenset()
    months: dict[str, str] = field(default_factory=dict)


def heads_of(workspace: Workspace, subject: str) -> tuple[Facts, ...]:
    """The heads noted in the ledger and in the manifests of backups, since the log was last removed."""
    ledger = workspace.ledger()
    removed = latest_evidence(ledger, REMOVED, subject)
    since = removed["facts"]["at"] if removed else ""
    found = [one["facts"] for one in evidence_since(ledger, SEALED, subject, limit=_MOST)]
    found += [one.audit for one in workspace.store().manifests()[0] if one.subject == subject and one.audit]
    return tuple(one for one in found if one["sealed_at"] > since)


def outside_of(workspace: Workspace, subject: str, months: Iterable[str]) -> Outside:
    """All of it. months: the names that the database says the store has; what can't be read there is not known."""
    # A copy in another cluster has the marks of the first one, so erasures are looked for by their digest alone.
    erased = evidence_since(workspace.ledger(), ERASED, limit=_MOST)
    digests = frozenset(str(one["facts"]["digest"]) for one in erased)
    found: dict[str, str] = {}
    with TemporaryDirectory(dir=workspace.home) as directory:
        for name in months:
            manifest = _manifest(workspace, name, Path(directory, "manifest.json"))
            if manifest:
                found[name] = str(manifest.get("hashes"))
    return Outside(heads_of(workspace, subject), digests, found)


def note_removed(ledger: Ledger, subject: str, at: str, run_id: str | None) -> None:
    """Note that the seals are gone on purpose. at: ISO with microseconds and Z, as seals have it."""
    add_evidence(ledger, REMOVED, subject, ok=True, facts={"at": at}, run_id=run_id)


def digest_of(marks: Iterable[Facts]) -> str:
    """The digest of the marks of one erasure: number, hash before, hash after, of each entry."""
    lines = sorted(f"{one['id']} {one['was']} {one['now']}\n" for one in marks)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _manifest(workspace: Workspace, name: str, path: Path) -> Facts:
    path.unlink(missing_ok=True)
    try:
        if not workspace.store().get_file(f"{name}.json", path):
            return {}
        found = json.loads(path.read_text())
    except (TabsyncError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
