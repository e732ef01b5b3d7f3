"""Proofs in the store: a host that can decrypt the backups proves them, and the host that takes them hears of it.

With encryption the backup host can't drill (decision 0012). So a drill on another host leaves its verdict beside the
backup, proofs/BACKUP.RUN.json, signed by that host; who trusts its key (`trusted_keys`) puts it into the ledger here.
A proof that isn't signed by a trusted key is none: who may write into the store could have put it there.
"""

from __future__ import annotations

import hashlib
import json
import socket
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since

if TYPE_CHECKING:
    from tabsync.stores.store import Store
    from tabsync.workspace import Workspace

PROOFS = "proofs"
"""The kind of these markers."""

_VERSION = 1
_NEWEST = 10  # backups whose proofs are looked for
_KNOWN = 500  # drills of the ledger that are compared with those of the store


def leave_proof(workspace: Workspace, subject: str, run_id: str, facts: Facts, *, ok: bool) -> str:
    """Leave a verdict in the store, signed; gives its name, "" where this host signs nothing.

    A store that doesn't take it doesn't undo the drill: then it counts only here.
    """
    if workspace.keys.signing is None:
        return ""
    name = f"{facts['backup']}.{run_id}"
    row = {"version": _VERSION, "name": name, "at": iso(now()), "subject": subject, "ok": ok, "facts": facts}
    content = json.dumps(row | {"host": socket.gethostname()}, sort_keys=True)
    try:
        signed = {"proof": content, "signature": workspace.keys.sign(_digest(content))}
        workspace.store().put_marker(PROOFS, name, json.dumps(signed).encode())
    except TabsyncError:
        return ""
    return name


def read_proofs(workspace: Workspace) -> int:
    """Put the proofs that other hosts left into the ledger; gives how many are new. Raises what the store raises."""
    if not workspace.keys.trusted:
        return 0
    store, ledger = workspace.store(), workspace.ledger()
    known = {row["facts"].get("proof") for row in evidence_since(ledger, "drill", limit=_KNOWN)}
    count = 0
    for backup in sorted(store.ids())[-_NEWEST:]:
        for name, content in store.markers(PROOFS, f"{backup}.").items():
            row = None if name in known else _trusted(workspace, name, content)
            if row is not None:
                facts = row["facts"] | {"proof": name, "host": row["host"]}
                add_evidence(ledger, "drill", row["subject"], ok=row["ok"], facts=facts, at=row["at"])
                count += 1
    return count


def delete_proofs(store: Store, backup: str) -> None:
    """Delete the proofs of a backup that is no longer there."""
    for name in store.markers(PROOFS, f"{backup}."):
        store.delete_marker(PROOFS, name)


def _trusted(workspace: Workspace, name: str, content: bytes) -> Facts | None:
    """What a proof says; None when it is not one, or by nobody whom we trust."""
    try:
        signed = json.loads(content)
        text = signed["proof"]
        if workspace.keys.distrusts(_digest(text), signed["signature"]):
            return None
        row: Facts = json.loads(text)
        parse_iso(row["at"])
        of = f"{row['facts']['backup']}." if row["version"] == _VERSION and row["name"] == name else None
        return row if of and name.startswith(of) and isinstance(row["ok"], bool) and row["subject"] else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(content: str) -> str:
    """What is signed: it never equals the digest of a manifest, so neither signature fits the other."""
    return f"proof:{hashlib.sha256(content.encode()).hexdigest()}"
