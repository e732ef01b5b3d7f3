"""Prisma 8, which is recognised and not read: it keeps no list of migrations, but the digest of one schema.

Its marker and its ledger are in the schema `_prisma`; candidates of the release had them in `prisma_contract`.
https://www.prisma.io/docs/orm/migrations/how-migrations-work, https://github.com/prisma/studio/releases/tag/v0.36.0
"""

from __future__ import annotations

from tabsync.migrations.histories.table import places
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

_SCHEMAS = ("_prisma", "prisma_contract")


def markers(connection: Connection) -> list[Relation]:
    """Where Prisma 8 says which schema the database has."""
    return [one for one in places(connection, "marker") if one.schema in _SCHEMAS]
