"""The chain of seals: what a seal is, what its head is made of, and how a history that has broken off goes on. Pure.

A seal covers entries of transactions that have all ended, in the order of transaction and number. Its head is a digest
over the seal and over the head before it, so that who changes an old seal has to change all that come after, and the
heads that are anchored elsewhere (the ledger, the manifests of backups) don't fit any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

ENTRY = 24
"""Bytes of an entry in a seal: its number (8), and the first 16 of its SHA-256."""

FIRST = "the first seal"
"""The mark of the seal that begins: entries from before it are not sealed."""

NO_HEAD = bytes(32)


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal.

    to_xid, last_id: of the last entry that is sealed, in the order of (xid, id); hashes: ENTRY bytes for each; cluster,
    timeline: where it was sealed; epoch: how many histories there have been, each for entries with numbers above
    epoch_from; mark: why an epoch began or ended, "" for an ordinary seal.
    """

    n: int
    to_xid: str
    last_id: int
    rows: int
    hashes: bytes
    previous: bytes
    head: bytes
    cluster: str
    timeline: int
    epoch: int
    epoch_from: int
    mark: str
    sealed_at: str

    @property
    def opens(self) -> bool:
        """Whether it seals nothing, and says where an epoch begins."""
        return bool(self.mark) and not self.rows


def head_of(seal: Seal, digest: bytes = b"") -> bytes:
    """The head that a seal must have: 32 bytes. Lengths go in, so that no two seals have the same text.

    digest: SHA-256 of the seal's hashes, where these themselves are not at hand.
    """
    parts = (
        seal.previous,
        str(seal.n).encode(),
        seal.to_xid.encode(),
        str(seal.last_id).encode(),
        str(seal.rows).encode(),
        digest or hashlib.sha256(seal.hashes).digest(),
        seal.cluster.encode(),
        str(seal.timeline).encode(),
        str(seal.epoch).encode(),
        str(seal.epoch_from).encode(),
        seal.mark.encode(),
        seal.sealed_at.encode(),
    )
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).digest()


def entries(hashes: bytes) -> Iterator[tuple[int, bytes]]:
    """The entries of a seal: (number, hash)."""
    for at in range(0, len(hashes), ENTRY):
        yield int.from_bytes(hashes[at : at + 8], signed=True), hashes[at + 8 : at + ENTRY]


def break_between(of: str, on: int, cluster: str, timeline: int) -> str:
    """Why the history of a seal has broken off, as the mark of the next one; "" when it goes on.

    of, on: the cluster and the timeline that the seal was made in; cluster, timeline: where we are.
    """
    if of != cluster:
        return f"restored into another database: {of} became {cluster}"
    if on != timeline:
        return f"recovered or failed over: timeline {on} became {timeline}"
    return ""
