"""Read what backups name, each object once, and say what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context


def read_objects(
    context: Context, store: Store, manifests: Sequence[Manifest]
) -> tuple[dict[tuple[str, str], str], int]:
    """What is wrong with each object that backups name, as Store.harm, by its file's key; and the bytes read."""
    files = {key_of(file): file for one in manifests for file in one.files}
    harm: dict[tuple[str, str], str] = {}
    done, total = 0, sum(file.object_bytes for file in files.values())
    with ThreadPoolExecutor(max_workers=2) as pool:  # hashlib lets go of the interpreter's lock
        for (key, file), why in zip(files.items(), pool.map(store.harm, files.values()), strict=True):
            harm[key] = why
            done += file.object_bytes
            context.report(done, total, "bytes")
    return harm, total


def key_of(file: StoredFile) -> tuple[str, str]:
    """What tells a file from others when it is read: its object, and what that holds when it is decrypted."""
    return file.digest, file.object
