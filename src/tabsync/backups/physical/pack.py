"""Turns pieces of a base backup into files of the store: what is there is counted on, the rest compressed and kept.

Several threads do it, each with one piece, while the next one is read. A piece is known by the digest of its plain
bytes, taken before anything else: the manifests of earlier physical backups of the same cluster say which object holds
it (physical["contents"]). Such an object may be encrypted, and then differs from what we would make now, but only for
the same recipients. It is counted on like any other (Store.count_on), so that no prune takes it away meanwhile.

A backup that is taken because something rotted must not rest on it again: what `backup verify` found damaged is not
asked, and in a directory an eighth of what is known is read and verified, each day another one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from tabsync.backups.physical.base import KINDS
from tabsync.backups.physical.pieces import Piece, buffers
from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.stores.manifest import StoredFile

if TYPE_CHECKING:
    from tabsync.stores.store import Store

CONTENTS = "contents"
"""In a manifest's physical facts: the digest of each piece's plain bytes, by the piece's name."""

_LEVEL = 1
_FRAME = 4 << 20
_LOOKED_AT = 3  # earlier backups whose pieces are known: each takes 20 MB of memory for a terabyte
_VERIFIED = 8  # of so many known pieces, one
_THREADS = min(4, max(2, os.cpu_count() or 2))


class Packer:
    """Packs pieces in the background; used as a context. known: earlier pieces; report: gets the bytes of tar so far.

    files, contents: what was stored, and the plain digests by name; complete when the context has ended.
    """

    def __init__(
        self, store: Store, staged: Path, known: Mapping[str, StoredFile], report: Callable[[int], None]
    ) -> None:
        self.lent = buffers(_THREADS + 2)
        self.files: list[StoredFile] = []
        self.contents: dict[str, str] = {}
        self._store, self._staged, self._known, self._report = store, staged, known, report
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="packer")
        self._waiting: list[Future[tuple[StoredFile, str]]] = []
        self._bytes = 0

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        try:
            while self._waiting and not failed:
                self._take_over()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def pack(self, piece: Piece) -> None:
        """Store a piece in the background. Raises what went wrong with an earlier one."""
        self._bytes += piece.size
        self._waiting.append(self._pool.submit(self._packed, piece))
        while self._waiting[0].done():
            self._take_over()
            if not self._waiting:
                break
        self._report(self._bytes)

    def _take_over(self) -> None:
        file, plain = self._waiting.pop(0).result()
        self.files.append(file)
        self.contents[file.name] = plain

    def _packed(self, piece: Piece) -> tuple[StoredFile, str]:
        try:
            plain = hashlib.sha256(piece.content).hexdigest()
            there = self._known.get(plain)
            if there is not None and self._is_good(there, plain):
                return replace(there, name=piece.name), plain
            path = self._staged / piece.name
            digest = _compress(piece.content, path)
        finally:
            piece.give_back()
        return self._store.keep(path, digest=digest), plain

    def _is_good(self, there: StoredFile, plain: str) -> bool:
        if not self._store.count_on(there.object, there.object_bytes):
            return False
        due = (int(plain[:8], 16) + now().toordinal()) % _VERIFIED == 0
        return not (due and self._store.is_local and self._store.harm(there))


def known_pieces(store: Store, system_identifier: str, damaged: Collection[str] = ()) -> dict[str, StoredFile]:
    """The pieces of the newest physical backups of a cluster, by their plain digests, as far as we would make them.

    damaged: backups (ids) that are not asked.
    Those for other recipients are none of ours, nor are encrypted ones when we don't encrypt, or the other way round.
    """
    found: dict[str, StoredFile] = {}
    looked_at = 0
    ours = store.keys.fingerprint if store.keys.encrypting else None
    for backup in reversed([one for one in store.ids() if one not in damaged]):
        with suppress(ProblemFound, BadUsage):  # whoever can't be read or trusted is not asked
            manifest = store.manifest(backup)
            if manifest.kind not in KINDS or manifest.source["system_identifier"] != system_identifier:
                continue
            contents = manifest.physical.get(CONTENTS, {})
            if contents and manifest.encryption.get("fingerprint") == ours:
                found = {contents[file.name]: file for file in manifest.files if file.name in contents} | found
            looked_at += 1
            if looked_at == _LOOKED_AT:
                break
    return found


def _compress(content: memoryview, path: Path) -> str:
    """Compress into a new file; gives the digest of what is in it.

    In frames that are compressed at once: a stream would copy everything before it looks at it. zstd -d takes several
    frames for one file.
    """
    running = hashlib.sha256()
    packer = zstandard.ZstdCompressor(_LEVEL, write_checksum=True)
    with path.open("wb") as file:
        for start in range(0, len(content), _FRAME):
            data = packer.compress(content[start : start + _FRAME])
            running.update(data)
            file.write(data)
    return running.hexdigest()
