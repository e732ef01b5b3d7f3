"""Flyway: `flyway_schema_history`, and files V1__what.sql, R__what.sql.

https://documentation.red-gate.com/flyway/flyway-concepts/migrations/flyway-schema-history-table
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from tabsync.kernel.step import Facts
from tabsync.migrations.histories.files import below
from tabsync.migrations.histories.history import File, History, Migration, Order, State, with_files
from tabsync.migrations.histories.lock import Lock
from tabsync.migrations.histories.script import script_at
from tabsync.migrations.histories.table import read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "flyway_schema_history"
_COLUMNS = ("installed_rank", "version", "script", "type", "checksum", "installed_on", "success")
_FILE = re.compile(r"(?:V(?P<version>[0-9][0-9._]*)|R)__.*\.sql", re.IGNORECASE)


def history(connection: Connection, table: Relation, folder: Path | None) -> History:
    """What it has noted, by the file's name. Raises Odd, NotAllowed."""
    newest: dict[str, Migration] = {}
    for row in read(connection, table, _COLUMNS, "installed_rank"):
        if row["type"] in ("SQL", "JDBC", "SCRIPT", "BASELINE", "SQL_BASELINE"):
            newest[row["script"]] = _migration(row)
        elif row["type"] == "DELETE":  # `flyway repair` marks what is gone on purpose
            newest.pop(row["script"], None)
    noted = list(newest.values())
    if folder is None:
        return History("Flyway", str(table), tuple(noted))
    return History("Flyway", str(table), with_files(noted, files(folder), _place), str(folder))


def files(folder: Path) -> list[File]:
    """The migrations below a folder; repeatable ones come last."""
    found = []
    for path in below(folder, ".sql"):
        if (order := _place(path.name)) is not None:
            found.append(File(path.name, order, frozenset({str(checksum(path.read_bytes()))})))
    return found


def checksum(content: bytes) -> int:
    """CRC32 of the lines without their ends, as a signed number of 32 bits.

    https://github.com/flyway/flyway/blob/main/flyway-core/src/main/java/org/flywaydb/core/internal/resolver/ChecksumCalculator.java
    """
    crc = 0
    for line in content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").splitlines():
        crc = zlib.crc32(line.encode(), crc)
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def lock(_connection: Connection, table: Relation) -> Lock:
    """The word Flyway as a number, plus Java's hash of the quoted name of its table. It migrates in another session.

    https://github.com/flyway/flyway/blob/main/flyway-database/flyway-database-postgresql/src/main/java/org/flywaydb/database/postgresql/PostgreSQLAdvisoryLockTemplate.java
    """
    name = ".".join('"' + one.replace('"', '""') + '"' for one in (table.schema, table.name))
    number = int.from_bytes(b"Flyway", "big") + java_hash(name)
    return Lock("Flyway", (number,), "it tries again each second, 50 times, and gives up", elsewhere=True)


def java_hash(text: str) -> int:
    """String.hashCode() of Java, as a signed number of 32 bits."""
    found = 0
    for unit in memoryview(text.encode("utf-16-le")).cast("H"):
        found = (31 * found + unit) & 0xFFFFFFFF
    return found - (1 << 32) if found >= 1 << 31 else found


def _place(name: str) -> Order | None:
    """A version's numbers; repeatable migrations come after all versions, and are never late."""
    named = _FILE.fullmatch(name)
    if named is None:
        return None
    if not named["version"]:
        return (1, name)
    return (0, *(int(one) for one in re.split(r"[._]", named["version"]) if one))


def script(folder: Path, name: str) -> str | None:
    """The statements of a migration; None when its file is not there."""
    return next((script_at(path) for path in below(folder, ".sql") if path.name == name), None)


def _migration(row: Facts) -> Migration:
    applied = row["success"] in ("true", "t")
    digest = row["checksum"] or ""
    state = State.APPLIED if applied else State.FAILED
    return Migration(row["script"], state, finished=row["installed_on"] if applied else "", digest=digest)
