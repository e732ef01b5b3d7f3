"""One month of the log on its way: a compressed COPY with a manifest in the store, read back, and only then dropped."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from tabsync.audit.database.locks import BUILDING, patiently
from tabsync.audit.database.log import SEALS, log_of
from tabsync.audit.database.partitions import bounds
from tabsync.audit.database.schema import settings_of
from tabsync.audit.database.setup import rows, run, table_facts
from tabsync.kernel import clock
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import FailedPartway, ProblemFound, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, prove_target
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "archive.sql")
FORMAT = 1
_LEVEL = 9  # of zstd: it is done once a month, and kept for years
_PIECE = 1024 * 1024


def export_month(context: Context, *, target: Facts, part: Facts, name: str) -> Facts:
    """Store a partition with its manifest, and read it back; one that is there already is only read back.

    Raises Refused when an entry has no seal yet, ProblemFound when what comes back is not what went.
    """
    workspace = context.workspace
    relation = Relation(**part)
    with workspace.connect("audit", BUILDING) as connection, _place(workspace) as directory:
        prove_target(connection, target)
        facts = table_facts(connection, relation)
        if facts is None:
            return _manifest(workspace, directory, _last(connection, relation))  # dropped, by a run that died
        _check_sealed(connection, relation)
        count, hashes = _hashes(connection, relation)
        name = _named(name, hashes)
        columns = [one["name"] for one in rows(connection, "columns", oid=facts["oid"])]
        made = _write(connection, relation, columns, directory / "month.copy.zst")
        manifest = made | {
            "format": FORMAT,
            "part": str(relation),
            "columns": columns,
            "rows": count,
            "hashes": hashlib.sha256(hashes).hexdigest(),
            "source": target,
            "archived_at": iso(clock.now()),
        }
        workspace.store().prepare()
        workspace.store().put_file(f"{name}.copy.zst", directory / "month.copy.zst")
        _read_back(workspace, directory, name, manifest)
        (directory / "manifest.json").write_text(json.dumps(manifest, sort_keys=True))
        workspace.store().put_file(f"{name}.json", directory / "manifest.json")
        return _manifest(workspace, directory, name)


def drop_month(context: Context, *, target: Facts, part: Facts, name: str) -> Facts:
    """Drop a partition whose entries are in the store exactly as they are now. Raises Refused when they are not."""
    workspace = context.workspace
    relation = Relation(**part)
    with workspace.connect("audit", BUILDING) as connection, _place(workspace) as directory:
        prove_target(connection, target)
        if table_facts(connection, relation) is None:
            return _manifest(workspace, directory, _last(connection, relation))
        name = _named(name, _hashes(connection, relation)[1])
        try:
            manifest = _manifest(workspace, directory, name)
        except ProblemFound:
            raise Refused(
                f"{relation} is not any more what was archived; it stays", "run it again: tabsync audit archive"
            ) from None
        if settings_of(connection).get("hold"):
            raise Refused("a legal hold has begun meanwhile", "to end it: tabsync audit archive --release")
        patiently(connection, f"drop {relation}", lambda: _drop(connection, relation, name, manifest))
    return manifest


def _drop(connection: Connection, relation: Relation, name: str, manifest: Facts) -> None:
    log = log_of(connection)
    one = next((one for one in bounds(connection, log) if Relation(one["schema"], one["name"]) == relation), None)
    if one is None:
        raise FailedPartway(f"{relation} is no partition of {log} any more", "tabsync audit status")
    run(connection, "detach", of=_SQL, log=log.identifier(), part=relation.identifier())
    count, hashes = _hashes(connection, relation)
    if (count, hashlib.sha256(hashes).hexdigest()) != (manifest["rows"], manifest["hashes"]):
        raise Refused(f"{relation} is not any more what was archived; it stays", "run it again: tabsync audit archive")
    owner = (table_facts(connection, log) or {})["owner"]
    run(connection, "archives", of=_SQL, owner=sql.Identifier(owner))
    run(connection, "marks", of=_SQL, part=relation.identifier())
    noted = {"part": str(relation), "since": one["since"], "until": one["until"], "rows": count, "name": name}
    connection.execute(_SQL["note"], noted | {"digest": manifest["sha256"], "hashes": hashes})
    run(connection, "drop", of=_SQL, part=relation.identifier())


def _write(connection: Connection, relation: Relation, columns: list[str], target: Path) -> Facts:
    """Write it, compressed; gives its plain size and digest, and what it takes."""
    import zstandard

    statement = sql.SQL(_SQL["copy_out"]).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)), part=relation.identifier()
    )
    digest, size = hashlib.sha256(), 0
    packer = zstandard.ZstdCompressor(_LEVEL, write_checksum=True)
    with (
        target.open("wb") as file,
        packer.stream_writer(file) as packed,
        connection.cursor().copy(statement) as copying,
    ):
        for piece in copying:
            digest.update(piece)
            size += len(piece)
            packed.write(bytes(piece))
    return {"sha256": digest.hexdigest(), "plain_bytes": size, "bytes": target.stat().st_size}


def _read_back(workspace: Workspace, directory: Path, name: str, manifest: Facts) -> None:
    """See that what is in the store is what is in the database. Raises ProblemFound, NotAllowed without the key."""
    import zstandard

    back = directory / "back.copy.zst"
    if not workspace.store().get_file(f"{name}.copy.zst", back):
        raise ProblemFound(f"{name}.copy.zst is not in the store", "run it again")
    digest = hashlib.sha256()
    try:
        with back.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
            while piece := reader.read(_PIECE):
                digest.update(piece)
    except zstandard.ZstdError as error:
        raise ProblemFound(f"{name}.copy.zst in the store is corrupt: {error}", "delete it and run it again") from None
    if digest.hexdigest() != manifest["sha256"]:
        raise ProblemFound(
            f"{name}.copy.zst in the store is not what {manifest['part']} is now",
            "it was changed there, or while it was read: look at it, then run it again",
        )


def _named(name: str, hashes: bytes) -> str:
    """A month may come twice, when entries of its time came late: what is in it tells its files apart."""
    return f"{name}-{hashlib.sha256(hashes).hexdigest()[:8]}"


def _last(connection: Connection, relation: Relation) -> str:
    """The name under which a partition went to the store. Raises FailedPartway when it is not known."""
    found = connection.execute(_SQL["last"], {"part": str(relation)}).fetchone() if _has_archives(connection) else None
    if found is None:
        raise FailedPartway(f"{relation} is gone, and was not archived", "tabsync audit status")
    return str(found[0])


def _has_archives(connection: Connection) -> bool:
    return bool((connection.execute(SEALS["has_archives"]).fetchone() or (False,))[0])


def _manifest(workspace: Workspace, directory: Path, name: str) -> Facts:
    path = directory / "found.json"
    path.unlink(missing_ok=True)
    if not workspace.store().get_file(f"{name}.json", path):
        raise ProblemFound(f"{name}.json is not in the store", "tabsync audit archive writes it")
    found: Facts = json.loads(path.read_text())
    return found | {"name": f"{name}.copy.zst"}


def _hashes(connection: Connection, relation: Relation) -> tuple[int, bytes]:
    statement = sql.SQL(_SQL["hashes"]).format(entry=sql.SQL(SEALS["hashed"]), part=relation.identifier())
    found = connection.execute(statement, binary=True).fetchone() or (0, b"")
    return int(found[0]), bytes(found[1])


def _check_sealed(connection: Connection, relation: Relation) -> None:
    found: Any = connection.execute(sql.SQL(_SQL["unsealed"]).format(part=relation.identifier())).fetchone()
    if found[0]:
        raise Refused(f"{relation} has entries that no seal covers yet", "seal them first: tabsync audit seal")


@contextmanager
def _place(workspace: Workspace) -> Iterator[Path]:
    directory = workspace.home / "staging" / f"audit-{secrets.token_hex(4)}"
    workspace.hold(directory, what="the archive of the audit log")
    try:
        yield directory
    finally:
        workspace.delete(directory)
