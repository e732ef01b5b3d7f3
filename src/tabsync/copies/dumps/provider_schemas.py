"""Backups without a provider's own schemas: what else can't come back where those are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tabsync.postgres.toc import Entry, dependents

_TEXT_ONLY = ("FUNCTION", "PROCEDURE", "COMMENT", "ACL", "DEFAULT ACL", "TABLE DATA", "SEQUENCE SET", "BLOB", "BLOBS")
"""Kinds whose definition may name a schema without needing it: pg_restore creates functions unchecked."""


def needing(entries: Sequence[Entry], schemas: Iterable[str]) -> set[int]:
    """The entries, by dump id, that name something of the given schemas, and those that depend on them.

    A policy that calls auth.uid(), a foreign key to auth.users: they can't be made where auth isn't there.
    """
    names = [re.escape(name) for name in schemas]
    if not names:
        return set()
    either = f'(?:"(?:{"|".join(names)})"|(?:{"|".join(names)}))'
    named = re.compile(rf'(?<![\w$".]){either}\s*\.|^create extension .* with schema {either}\s*;', re.IGNORECASE)
    roots = {one.dump_id for one in entries if one.kind not in _TEXT_ONLY and named.search(one.definition)}
    return dependents(entries, roots) if roots else roots
